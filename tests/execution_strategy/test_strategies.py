"""Strategies and the generator: which pipe in which generation, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kindling_airflow import execution_strategy
from kindling_airflow.errors import GraphValidationError, PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_plan.text import visualize_plan
from kindling_airflow.execution_strategy import (
    BatchExecutionStrategy,
    ConfigBasedExecutionStrategy,
    ExecutionPlanGenerator,
    ExecutionStrategy,
    HybridExecutionStrategy,
    PriorityExecutionStrategy,
    StreamingExecutionStrategy,
)
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder
from tests.builders import graph, pipes, plan

BUILT_IN = [
    BatchExecutionStrategy,
    StreamingExecutionStrategy,
    ConfigBasedExecutionStrategy,
    HybridExecutionStrategy,
    PriorityExecutionStrategy,
]


def _order(made: ExecutionPlan) -> list[tuple[str, ...]]:
    return [generation.pipe_ids for generation in made.generations]


class _Everything(ExecutionStrategy):
    """Puts all pipes into one generation, whatever they read."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        return ExecutionPlan(tuple(pipe_ids), (Generation(0, tuple(pipe_ids)),), graph, "batch")

    def get_strategy_name(self) -> str:
        return "everything"


class _Nothing(ExecutionStrategy):
    """A sketch that was never filled in."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        return None  # type: ignore[return-value]

    def get_strategy_name(self) -> str:
        return "nothing"


class TestGenerations:
    def test_pipe_runs_one_generation_after_the_last_of_its_producers(self) -> None:
        r"""
        a - b - c - e
         \_________/
        d ________/
        """
        made = plan("a -> b -> c -> e, a -> e, d -> e")
        assert _order(made) == [("a", "d"), ("b",), ("c",), ("e",)]
        assert [gen.dependencies for gen in made.generations] == [
            (),
            ("a",),
            ("b",),
            ("c", "a", "d"),
        ]

    def test_streaming_pipe_starts_one_generation_after_the_last_of_its_consumers(self) -> None:
        made = plan("a -> b -> c -> e, a -> e, d -> e", "streaming")
        assert _order(made) == [("e",), ("c", "d"), ("b",), ("a",)]
        assert [gen.dependencies for gen in made.generations] == [(), ("e",), ("c",), ("b", "e")]

    def test_order_inside_a_generation_is_the_order_requested(self) -> None:
        generator = ExecutionPlanGenerator(pipes("a -> x, a -> y, a -> z"))
        for ids in (["z", "a", "x", "y"], ["y", "x", "z", "a"]):
            made = generator.generate_batch_plan(ids)
            assert made.pipe_ids == tuple(ids)
            assert _order(made) == [("a",), tuple(p for p in ids if p != "a")]

    def test_pipes_without_edges_run_side_by_side(self) -> None:
        assert _order(plan("c, a, b")) == _order(plan("c, a, b", "streaming")) == [("c", "a", "b")]

    def test_part_of_the_pipes_is_planned_as_if_the_others_were_not_there(self) -> None:
        generator = ExecutionPlanGenerator(pipes("a -> b -> c -> d"))
        assert _order(generator.generate_batch_plan(["d", "a", "b"])) == [("d", "a"), ("b",)]

    @pytest.mark.parametrize("strategy", BUILT_IN)
    def test_strategy_plans_a_part_of_a_graph(self, strategy: type[ExecutionStrategy]) -> None:
        made = strategy().plan(graph("a -> b -> c"), ["a", "c"])
        assert _order(made) == [("a", "c")]
        assert made.validate()


class TestStrategies:
    @pytest.mark.parametrize("strategy", BUILT_IN)
    def test_pipes_that_the_graph_does_not_have_are_refused(
        self, strategy: type[ExecutionStrategy]
    ) -> None:
        with pytest.raises(GraphValidationError) as refused:
            strategy().plan(graph("a -> b"), ["a", "y", "x"])
        assert str(refused.value) == (
            "2 problems in the pipe graph:\n"
            "1. pipe 'x' is not in the graph\n"
            "  Fix: build the graph with all pipes of the plan.\n"
            "2. pipe 'y' is not in the graph\n"
            "  Fix: build the graph with all pipes of the plan."
        )

    @pytest.mark.parametrize("strategy", BUILT_IN)
    def test_string_where_a_list_belongs_is_refused(
        self, strategy: type[ExecutionStrategy]
    ) -> None:
        with pytest.raises(GraphValidationError) as refused:
            strategy().plan(graph("a -> b"), "ab")
        assert str(refused.value) == (
            "pipe_ids is the string 'ab' where a list is expected\n  Fix: write ['ab']"
        )

    def test_strategy_says_its_order_in_the_metadata(self) -> None:
        assert plan("a").metadata == {
            "execution_order": "forward",
            "cache_recommendations": (),
            "cache_candidate_count": 0,
            "cache_candidate_entities": (),
        }
        assert plan("a", "streaming").metadata == {
            "execution_order": "reverse",
            "checkpoint_order": "downstream_first",
            "cache_recommendations": (),
        }

    @pytest.mark.parametrize("strategy", BUILT_IN)
    def test_plan_without_pipes_is_valid(self, strategy: type[ExecutionStrategy]) -> None:
        empty = plan("", strategy)
        assert empty.generations == ()
        assert empty.strategy == strategy().get_strategy_name()

    @pytest.mark.parametrize("strategy", BUILT_IN)
    def test_pipes_of_the_graph_that_are_not_in_the_plan_join_nothing(
        self, strategy: type[ExecutionStrategy]
    ) -> None:
        """Without b, nothing is known of a's way to c: they are planned as if it were not there."""
        tags = {"a": {"processing_mode": "streaming"}, "c": {"processing_mode": "streaming"}}
        whole = PipeGraphBuilder(pipes("a -> b -> c", tags)).build_graph()
        assert _order(strategy().plan(whole, ["c", "a"])) == [("c", "a")]

    def test_strategy_without_a_plan_method_cannot_be_made(self) -> None:
        with pytest.raises(TypeError, match="abstract"):
            ExecutionStrategy()  # type: ignore[abstract]

    def test_logger_provider_is_optional_and_kept(self) -> None:
        provider: Any = object()
        assert BatchExecutionStrategy().logger_provider is None
        assert BatchExecutionStrategy(provider).logger_provider is provider
        generator = ExecutionPlanGenerator(pipes("a"), logger_provider=provider)
        assert generator.logger_provider is provider


class TestGenerator:
    def test_all_declared_pipes_are_planned_by_default(self) -> None:
        generator = ExecutionPlanGenerator(pipes("b -> a"))
        assert generator.generate_batch_plan().pipe_ids == ("b", "a")
        assert _order(generator.generate_streaming_plan()) == [("a",), ("b",)]

    def test_plan_of_a_custom_strategy_is_validated(self) -> None:
        assert plan("a, b", _Everything()).total_generations() == 1
        with pytest.raises(PlanValidationError) as refused:
            plan("a -> b", _Everything())
        assert str(refused.value) == (
            "pipe 'b' (generation 0) reads entity 'a.out' of pipe 'a' (generation 0)\n"
            "  Fix: under strategy 'batch' the producer belongs in an earlier generation than its "
            "consumer."
        )

    def test_strategy_that_returns_no_plan_is_refused(self) -> None:
        with pytest.raises(PlanValidationError) as refused:
            plan("a -> b", _Nothing())
        assert str(refused.value) == (
            "strategy 'nothing' returned NoneType instead of a plan\n"
            "  Fix: return an ExecutionPlan from its plan()."
        )

    def test_names_of_the_document_can_be_imported_from_its_module(self) -> None:
        for name in execution_strategy.__all__:
            assert hasattr(execution_strategy, name)


class TestVisualization:
    def test_streaming_plan_names_the_consumers_that_a_pipe_waits_for(self) -> None:
        assert visualize_plan(plan("a -> b, a -> c", "streaming")).splitlines()[9:] == [
            "Generation 0: (2 pipes)",
            "  - b",
            "  - c",
            "",
            "Generation 1: (1 pipes)",
            "  - a (deps: ['b', 'c'])",
        ]

    def test_empty_plan_has_a_head_and_nothing_else(self) -> None:
        assert visualize_plan(plan("")) == (
            "Execution Plan (batch)\n"
            "==================================================\n"
            "Total Pipes: 0\n"
            "Total Generations: 0\n"
            "Max Parallelism: 0\n"
            "\n"
            "Execution Order:\n"
            "--------------------------------------------------"
        )

    def test_pipes_of_the_graph_that_are_not_in_the_plan_are_not_named(self) -> None:
        made = BatchExecutionStrategy().plan(graph("a -> b -> c"), ["b", "c"])
        assert "  - b\n" in visualize_plan(made)
