"""The memory budget of a definition, which a run keeps to unless the command says otherwise."""

from __future__ import annotations

from kindling_airflow.cli.sources.memory_budget import within_budget
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.pipe_graph import PipeGraphBuilder
from tests.builders import pipes


def _plan(strategy: str) -> ExecutionPlan:
    entities = DataEntityRegistry()
    entities.register_entity("src", tags={"size_bytes": 2000})
    declared = pipes("[src] -> a, [src] -> b")
    builder = PipeGraphBuilder(declared, entities=entities)
    return ExecutionPlanGenerator(declared, builder).generate_plan(None, strategy)


def _levels(plan: ExecutionPlan) -> list[str]:
    return [entry["level"] for entry in plan.metadata["cache_recommendations"]]


def test_without_a_budget_a_plan_stays_as_it_is() -> None:
    plan = _plan("batch")
    assert within_budget(plan, None) is plan
    assert _levels(plan) == ["MEMORY_AND_DISK"]


def test_within_a_budget_what_fits_is_kept_in_memory() -> None:
    assert _levels(within_budget(_plan("batch"), 2000)) == ["MEMORY_ONLY"]
    assert _levels(within_budget(_plan("batch"), 1999)) == ["NONE"]


def test_a_plan_of_streams_shares_nothing() -> None:
    plan = _plan("streaming")
    assert within_budget(plan, 2000) is plan
