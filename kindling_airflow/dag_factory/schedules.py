"""The schedule of a definition as Airflow has it, and what only the plan shows to be wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kindling_airflow.definitions.compile import Compiled
from kindling_airflow.definitions.plan_schedule import input_assets
from kindling_airflow.definitions.stream_keys import runs_continuously
from kindling_airflow.definitions.times import CONTINUOUS

if TYPE_CHECKING:
    from airflow.sdk import Asset

__all__ = ["airflow_schedule"]


def airflow_schedule(compiled: Compiled) -> Any:
    """Return what the DAG takes as its schedule; None where it has none."""
    from airflow.sdk import AssetAll, AssetAny

    from kindling_airflow.dag_factory.timetables import (
        KindlingCronTimetable,
        KindlingPartitionTimetable,
        KindlingPeriodTimetable,
    )

    definition = compiled.definition
    if runs_continuously(definition, compiled.spec.lifetime):
        return CONTINUOUS
    if definition.cron is not None:
        return KindlingCronTimetable(definition.cron, timezone=definition.timezone)
    if definition.every is not None:
        return KindlingPeriodTimetable(definition.every)
    if definition.partitions is not None:
        # A partition is run when it is over, as an interval is.
        return KindlingPartitionTimetable(
            definition.partitions, timezone=definition.timezone, run_offset=-1
        )
    if definition.follows_inputs:
        return AssetAll(*_assets(input_assets(definition, compiled.plan)))
    if definition.updates is not None:
        mode, names = definition.updates
        return (AssetAll if mode == "all" else AssetAny)(*_assets(names))
    return None


def _assets(names: tuple[str, ...]) -> Iterator[Asset]:
    from airflow.sdk import Asset

    return (Asset(name=name, uri=name) for name in names)
