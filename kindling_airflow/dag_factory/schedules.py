"""The schedule of a definition as Airflow has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kindling_airflow.definitions.dag_parts import Outline
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.times import CONTINUOUS

if TYPE_CHECKING:
    from airflow.sdk import Asset


def airflow_schedule(definition: Definition, outline: Outline) -> Any:
    """Return the ``schedule`` argument of a definition's DAG; None where it has no schedule."""
    from airflow.sdk import AssetAll, AssetAny

    from kindling_airflow.dag_factory.timetables import (
        KindlingCronTimetable,
        KindlingPartitionTimetable,
        KindlingPeriodTimetable,
    )

    if definition.runs_continuously(outline.lifetime):
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
        return AssetAll(*_assets(outline.input_assets))
    if definition.updates is not None:
        mode, names = definition.updates
        return (AssetAll if mode == "all" else AssetAny)(*_assets(names))
    return None


def _assets(names: tuple[str, ...]) -> Iterator[Asset]:
    from airflow.sdk import Asset

    return (Asset(name=name, uri=name) for name in names)
