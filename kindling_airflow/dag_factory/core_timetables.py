"""Schedules in time as Airflow's scheduler has them, see :mod:`.timetables`.

They are Airflow's own but for what comes next and what came before.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk.timezone import coerce_datetime
from airflow.timetables.base import DataInterval
from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
from airflow.timetables.trigger import CronPartitionTimetable

from kindling_airflow.common.schedule_times import CronTimes, PeriodTimes, Times

__all__ = ["KindlingCronTimetable", "KindlingPartitionTimetable", "KindlingPeriodTimetable"]

_DAY = timedelta(days=1)


class _Counting:
    """Takes from the times of a schedule what comes next and what came before."""

    @property
    @abstractmethod
    def times(self) -> Times:
        """The times. Not kept: Airflow copies and compares timetables by their attributes."""

    def infer_manual_data_interval(self, *, run_after: Any) -> DataInterval:
        """Return the last interval that is over: that of a run by hand for a date."""
        end = self._align_to_prev(run_after)
        return DataInterval(start=self._get_prev(end), end=end)

    def _get_next(self, current: datetime) -> Any:
        return coerce_datetime(self.times.after(current))

    def _get_prev(self, current: datetime) -> Any:
        return coerce_datetime(self.times.before(current))

    def _align_to_next(self, current: datetime) -> Any:
        return coerce_datetime(self.times.at_or_after(current))

    def _align_to_prev(self, current: datetime) -> Any:
        return coerce_datetime(self.times.at_or_before(current))


class _CountingByCron(_Counting):
    _expression: Any
    _timezone: Any

    @property
    def times(self) -> CronTimes:
        """The times of the expression."""
        return CronTimes(self._expression, self._timezone)


class KindlingCronTimetable(_CountingByCron, CronDataIntervalTimetable):
    """A run for each interval of a cron expression, when it is over."""


class KindlingPartitionTimetable(_CountingByCron, CronPartitionTimetable):
    """A run for each partition of a cron expression, when it is over."""

    def iter_partition_dagrun_infos(self, *, earliest: datetime, latest: datetime) -> Any:
        """Yield the partitions of a backfill; of an hour that comes twice, both."""
        first = self.times.due_from(earliest.replace(tzinfo=None))
        more: Any = super().iter_partition_dagrun_infos(earliest=earliest - _DAY, latest=latest)
        return (info for info in more if info.partition_date >= first)

    def _format_key(self, partition_date: Any) -> str:
        """Return the key of a partition; the first of two with one reading states its offset."""
        key: str = super()._format_key(partition_date)
        if not self.times.is_first_of_two(partition_date):
            return key
        there = partition_date.astimezone(self._timezone)
        if there.strftime(self._key_format) != key:
            return key  # keys in UTC, as Airflow 3.2 makes them, differ anyway
        return f"{key}{there:%z}"

    def _decode_partition_date(self, partition_key: str) -> datetime:
        """Return when a partition begins, from its key.

        Raises:
            InvalidPartitionKeyError: the key is not in the format of the keys.
        """
        found = self.times.due_at_text(partition_key, self._key_format)
        return found or super()._decode_partition_date(partition_key)  # which raises


class KindlingPeriodTimetable(_Counting, DeltaDataIntervalTimetable):  # type: ignore[misc]
    """A run for each interval of a fixed length, counted from 1970 in UTC, when it is over."""

    _delta: timedelta

    @property
    def times(self) -> PeriodTimes:
        """The ends of the periods."""
        return PeriodTimes(self._delta)
