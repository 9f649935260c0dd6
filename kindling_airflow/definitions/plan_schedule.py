"""What a schedule and a plan mean for each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.yaml_file import Problem
from kindling_airflow.translator.assets import asset_identifier

if TYPE_CHECKING:
    from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["input_assets", "schedule_problems"]


def input_assets(definition: Definition, plan: ExecutionPlan) -> tuple[str, ...]:
    """Return the assets of the entities that the plan reads and does not write, by name."""
    if definition.assets is None:
        return ()
    identifier = asset_identifier(definition.assets)
    return tuple(sorted(map(identifier, plan.graph.external_entities())))


def schedule_problems(definition: Definition, plan: ExecutionPlan) -> Iterator[Problem]:
    """Yield what is wrong with the schedule of a whole DAG, seen from its plan."""
    if definition.follows_inputs and definition.assets is None:
        text = "'assets' conflicts with assets: false\n  Fix: remove one of the two."
        yield ("schedule",), text
    elif definition.follows_inputs and not input_assets(definition, plan):
        text = (
            "'assets' means the plan's external inputs, and the plan has none\n"
            "  Fix: use a cron expression, or list assets: {all: [...]}."
        )
        yield ("schedule",), text
    has_intervals = definition.cron or definition.every or definition.partitions
    if definition.on_missing_interval == "run_after" and not has_intervals:
        text = (
            "'run_after' takes an interval of the schedule, and this schedule has none\n"
            "  Fix: use a cron expression, 'every' or 'partitions'; or 'full' or 'fail'."
        )
        yield ("on_missing_interval",), text
