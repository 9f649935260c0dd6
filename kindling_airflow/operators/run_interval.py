"""The data interval of a run, and what happens in a run without one.

| run                                            | interval                                        |
|------------------------------------------------|-------------------------------------------------|
| scheduled, backfilled, by hand for a date      | the run's own                                   |
| of a partition                                 | from the partition's date to the next one       |
| with an empty one, of a schedule in time       | the last one of the schedule that ends by then  |
| by hand without a date, on updates of assets   | none                                            |
| of a DAG without a schedule in time            | none: Airflow's own is empty                    |

Without one, ``on_missing_interval`` decides. Airflow's own timetables give a manual run an empty
interval where the clock has just gone forward: such a run processes a slice, and must not replace a
whole table.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException

from kindling_airflow.common.schedule_times import CronTimes, PeriodTimes, Times
from kindling_airflow.tags.intervals import zone_named

__all__ = ["ON_MISSING", "run_interval"]

ON_MISSING = ("full", "fail", "run_after")
_KEY_FORMAT = "%Y-%m-%dT%H:%M:%S"

Interval = tuple[datetime, datetime]


def run_interval(context: Mapping[str, Any], on_missing: str) -> Interval | None:
    """Return the data interval of a task's run; None where it has none and needs none.

    Under ``run_after`` it is the last interval of the DAG's schedule that has ended by the earliest
    time at which the run was allowed to start.

    Args:
        context: the task's context.
        on_missing: one of :data:`ON_MISSING`.

    Raises:
        AirflowFailException: a required interval is missing, or the run is for a partition that
            the schedule does not have.
    """
    run = context["dag_run"]
    timetable = getattr(context.get("dag"), "timetable", None)
    found = _of_partition(run, timetable)
    if found is not None:
        return found
    start, end = (getattr(run, f"data_interval_{side}", None) for side in ("start", "end"))
    if start is not None and end is not None:
        found = (start, end) if start < end else _before(end, timetable)
    if found is not None or on_missing == "full":
        return found
    run_id = getattr(run, "run_id", "")
    if on_missing == "fail":
        raise AirflowFailException(
            f"run {run_id!r} has no data interval, and on_missing_interval is 'fail'\n"
            "  Fix: start it for a date, as 'airflow backfill create' does; or set "
            "on_missing_interval: full, to process all data."
        )
    found = _before(getattr(run, "run_after", None), timetable)
    if found is None:
        raise AirflowFailException(
            f"run {run_id!r} has no data interval, on_missing_interval is 'run_after', and the DAG "
            "has no schedule with intervals\n"
            "  Fix: give the DAG a cron expression or a period, or set on_missing_interval: full."
        )
    return found


def _of_partition(run: Any, timetable: Any) -> Interval | None:
    """Return the interval of a partition: until the next one begins."""
    key = getattr(run, "partition_key", None)
    if not key:
        return None
    from airflow.sdk import CronPartitionTimetable

    if not isinstance(timetable, CronPartitionTimetable):
        return None
    times = CronTimes(timetable.expression, _zone(timetable.timezone))
    form = getattr(timetable, "key_format", _KEY_FORMAT)
    # Airflow 3.2, whose runs have no date of their partition, writes keys in UTC.
    zone = times.zone if hasattr(run, "partition_date") else timezone.utc
    date = getattr(run, "partition_date", None)
    date = date or CronTimes(times.expression, zone).due_at_text(key, form)
    if date is None:
        return None
    start = times.at_or_after(date)
    name = start.astimezone(zone).strftime(form)
    # A key may be less precise than the date: the day of a partition that begins at 2 o'clock.
    if start != date and name != key:
        raise AirflowFailException(
            f"run {getattr(run, 'run_id', '')!r} is for partition {key!r}, which the schedule "
            f"{timetable.expression!r} ({timetable.timezone}) does not have\n"
            f"  Fix: start it for a partition of the schedule; the next one is {name!r}."
        )
    return start, times.after(start)


def _before(time: datetime | None, timetable: Any) -> Interval | None:
    """Return the last interval of a schedule that ends at or before a time."""
    if time is None or timetable is None:
        return None
    times = _times(timetable)
    if times is not None:
        end = times.at_or_before(time)
        return times.before(end), end
    from airflow.sdk.timezone import coerce_datetime
    from airflow.serialization.encoders import coerce_to_core_timetable

    found = coerce_to_core_timetable(timetable).infer_manual_data_interval(
        run_after=coerce_datetime(time)
    )
    return (found.start, found.end) if found.start < found.end else None


def _times(timetable: Any) -> Times | None:
    """Return the times between which the intervals of a schedule lie; None for other kinds."""
    from airflow.sdk import (
        CronDataIntervalTimetable,
        CronPartitionTimetable,
        DeltaDataIntervalTimetable,
    )
    from airflow.timetables.interval import CronDataIntervalTimetable as CoreCronTimetable

    if isinstance(timetable, (CronDataIntervalTimetable, CronPartitionTimetable)):
        return CronTimes(timetable.expression, _zone(timetable.timezone))
    if isinstance(timetable, CoreCronTimetable):
        return CronTimes(timetable._expression, timetable._timezone)
    if isinstance(timetable, DeltaDataIntervalTimetable) and type(timetable.delta) is timedelta:
        return PeriodTimes(timetable.delta)
    inner = getattr(timetable, "timetable", None)  # of one that also waits for assets
    return None if inner is None else _times(inner)


def _zone(zone: str | tzinfo) -> tzinfo:
    return zone_named(zone) if isinstance(zone, str) else zone
