"""The data interval of a run, and what a run does that has none.

| run                                            | interval                                        |
|------------------------------------------------|-------------------------------------------------|
| scheduled, backfilled, by hand for a date      | the run's own                                   |
| of a partition                                 | from the partition's date to the next one       |
| by hand without a date, on updates of assets   | none                                            |
| of a DAG without a schedule                    | none: Airflow's own begins where it ends        |

Without one it is ``on_missing_interval`` that says how the run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import AirflowFailException

__all__ = ["ON_MISSING", "run_interval"]

ON_MISSING = ("full", "fail", "run_after")
_KEY_FORMAT = "%Y-%m-%dT%H:%M:%S"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Interval = tuple[datetime, datetime]


def run_interval(context: Mapping[str, Any], on_missing: str) -> Interval | None:
    """Return the data interval of a task's run; None where it has none and works without.

    Under ``run_after`` it is the last interval of the DAG's schedule that is over by the moment
    from which on the run was allowed to start.

    Args:
        context: the task's context.
        on_missing: one of :data:`ON_MISSING`.

    Raises:
        AirflowFailException: there is none, and there has to be one.
    """
    run = context["dag_run"]
    start, end = (getattr(run, f"data_interval_{side}", None) for side in ("start", "end"))
    if start is not None and end is not None and start < end:
        return start, end
    timetable = getattr(context.get("dag"), "timetable", None)
    found = _of_partition(run, timetable)
    if found is not None or on_missing == "full":
        return found
    run_id = getattr(run, "run_id", "")
    if on_missing == "fail":
        raise AirflowFailException(
            f"run {run_id!r} has no data interval, and on_missing_interval is 'fail'\n"
            "  Fix: start it for a date, as 'airflow backfill create' does; or let such runs work "
            "on all data: on_missing_interval: full."
        )
    found = _before(getattr(run, "run_after", None), timetable)
    if found is None:
        raise AirflowFailException(
            f"run {run_id!r} has no data interval, on_missing_interval is 'run_after', and the DAG "
            "has no schedule with intervals\n"
            "  Fix: give the DAG a cron expression or a period; or use on_missing_interval: full."
        )
    return found


def _of_partition(run: Any, timetable: Any) -> Interval | None:
    """Return what a partition covers: the time up to the next one."""
    from airflow.sdk import CronPartitionTimetable

    key = getattr(run, "partition_key", None)
    if not key or not isinstance(timetable, CronPartitionTimetable):
        return None
    start = getattr(run, "partition_date", None)
    if start is None:
        start = _decoded(key, timetable, in_utc=not hasattr(run, "partition_date"))
    return None if start is None else _from(start, timetable)


def _decoded(key: str, timetable: Any, *, in_utc: bool) -> datetime | None:
    """Return the date of a partition from its key; Airflow 3.2 writes it in UTC."""
    try:
        naive = datetime.strptime(key, getattr(timetable, "key_format", _KEY_FORMAT))  # noqa: DTZ007
    except ValueError:
        return None
    zone = timetable.timezone
    zone = ZoneInfo(zone) if isinstance(zone, str) else zone
    return naive.replace(tzinfo=timezone.utc if in_utc else zone)


def _from(start: datetime, timetable: Any) -> Interval | None:
    """Return the interval of a cron expression that begins at or after a moment."""
    from airflow.sdk.timezone import coerce_datetime
    from airflow.timetables.base import TimeRestriction

    info = _with_intervals(timetable).next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(coerce_datetime(start), None, catchup=True),
    )
    return None if info is None else _both(info.data_interval)


def _before(moment: datetime | None, timetable: Any) -> Interval | None:
    """Return the last interval of a schedule that ends at or before a moment."""
    from airflow.sdk import DeltaDataIntervalTimetable
    from airflow.sdk.timezone import coerce_datetime

    if moment is None or timetable is None:
        return None
    if isinstance(timetable, DeltaDataIntervalTimetable) and type(timetable.delta) is timedelta:
        # Airflow would count back from the moment itself; the runs of the schedule do not.
        end = moment - (moment - _EPOCH) % timetable.delta
        return end - timetable.delta, end
    core = _with_intervals(timetable)
    found = core.infer_manual_data_interval(run_after=coerce_datetime(moment))
    return _both(found) if found.start < found.end else None


def _with_intervals(timetable: Any) -> Any:
    """Return what calculates with a DAG's schedule; of partitions, their cron expression."""
    from airflow.sdk import CronPartitionTimetable
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.interval import CronDataIntervalTimetable

    if isinstance(timetable, CronPartitionTimetable):
        return CronDataIntervalTimetable(timetable.expression, timetable.timezone)
    return coerce_to_core_timetable(timetable)


def _both(interval: Any) -> Interval:
    return interval.start, interval.end
