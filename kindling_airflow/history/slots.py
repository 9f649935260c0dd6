"""The runs of a stored DAG's schedule between two dates, as the scheduler computes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from kindling_airflow.common.schedule_times import CronTimes
from kindling_airflow.history.gaps import Slot

__all__ = ["MOST_SLOTS", "run_key", "slots_between"]

MOST_SLOTS = 5_000
_KEY_FORMAT = "%Y-%m-%dT%H:%M:%S"


def slots_between(
    dag: Any,
    first: datetime,
    last: datetime,
    now: datetime,
    runs: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> tuple[Slot, ...]:
    """Return the slots of a DAG whose intervals have ended, earliest first; none without schedule.

    Args:
        dag: the DAG as Airflow has stored it.
        first: the first date, as ``airflow backfill create`` takes it.
        last: the last date.
        now: the time.
        runs: the state and the conf of existing runs, by :func:`run_key`.
    """
    if first > last or not (dag.timetable.periodic or getattr(dag.timetable, "partitioned", False)):
        return ()
    found: list[Slot] = []
    for key, interval, date in _infos(dag, first, last):
        if interval[0] < interval[1] <= now:
            state, conf = runs.get(key, ("", None))
            found.append(Slot(key, interval, date, state, conf))
        if len(found) == MOST_SLOTS:
            break
    return tuple(found)


def run_key(logical_date: datetime | None, partition_key: str | None) -> str:
    """Return what names a run among those of a schedule: its partition, or its logical date."""
    if partition_key:
        return partition_key
    return "" if logical_date is None else logical_date.astimezone(timezone.utc).isoformat()


def _infos(
    dag: Any, first: datetime, last: datetime
) -> Iterator[tuple[str, tuple[datetime, datetime], datetime]]:
    for info in dag.iter_dagrun_infos_between(first, last):
        interval = info.data_interval
        if interval is not None:
            start = interval.start
            yield run_key(info.logical_date, None), (start, interval.end), start
            continue
        timetable = dag.timetable
        times = CronTimes(timetable._expression, timetable._timezone)
        date = getattr(info, "partition_date", None)
        if date is None:  # Airflow 3.2, whose keys are in UTC
            in_utc = CronTimes(times.expression, timezone.utc)
            date = in_utc.due_at_text(str(info.partition_key), _KEY_FORMAT)
        if date is None:
            continue
        start = times.at_or_after(date)
        yield str(info.partition_key), (start, times.after(start)), _backfill_date(info, times)


def _backfill_date(info: Any, times: CronTimes) -> datetime:
    """Return the time that Airflow compares with the dates of a backfill of partitions.

    That is the local time of the partition's begin, as if it were UTC; in Airflow 3.2, the time at
    which the partition's run is due.
    """
    date = getattr(info, "partition_date", None)
    if date is None:
        due: datetime = info.run_after
        return due
    begins: datetime = date.astimezone(times.zone)
    return begins.replace(tzinfo=timezone.utc)
