"""Time schedules of a DAG file: Airflow's timetables, with times counted by this package.

Where clocks change, Airflow's counting skips slices, repeats them, or gives a run by hand an
interval of no length (see :mod:`kindling_airflow.common.schedule_times`); and its intervals of a
period begin wherever a run by hand or a backfill does. The scheduler counts with
:mod:`kindling_airflow.dag_factory.core_timetables`, which Airflow finds through the plugin. To
everything else in a DAG file these are the classes of Airflow that they derive from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import (
    CronDataIntervalTimetable,
    CronPartitionTimetable,
    DeltaDataIntervalTimetable,
)

__all__ = ["KindlingCronTimetable", "KindlingPartitionTimetable", "KindlingPeriodTimetable"]


class _CountedByScheduler:
    """Becomes the timetable of the same name that the scheduler counts with."""

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> Any:
        """Return what the scheduler counts with."""
        # Not imported with this module: a worker that starts a task has no need of it.
        from kindling_airflow.dag_factory import core_timetables

        return getattr(core_timetables, cls.__name__).deserialize(data)


class KindlingCronTimetable(_CountedByScheduler, CronDataIntervalTimetable):
    """A run for each interval of a cron expression, when it is over."""


class KindlingPartitionTimetable(_CountedByScheduler, CronPartitionTimetable):
    """A run for each partition of a cron expression, when it is over."""


class KindlingPeriodTimetable(_CountedByScheduler, DeltaDataIntervalTimetable):
    """A run for each interval of a fixed length, counted from 1970 in UTC, when it is over."""
