"""Derives from tags what a run reads of its inputs and replaces of its output; without Spark.

    entity  interval.column: day              in which slice a row lies: [start, end) of the run
    entity  write_mode: overwrite_interval    the run's slice is replaced, all else stays
    pipe    interval.read: slice              of inputs with an interval.column, only the slice

A *slice* is a data interval in the terms of one column. A date belongs to it if the day begins in
it, in the entity's time zone; a timestamp if it is in the interval; a text is compared as ISO 8601.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal, get_args

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.names import (
    COLUMN_TAG,
    LOOKBACK_TAG,
    READ_TAG,
    TIMEZONE_TAG,
    WRITE_MODE_TAG,
)
from kindling_airflow.tags.values import Value

__all__ = [
    "KINDS",
    "LOOKBACK",
    "READS",
    "TIME_ZONE",
    "WRITE_MODES",
    "IntervalSlice",
    "WriteMode",
    "interval_column_of",
    "lookback_of",
    "read_of",
    "slice_of",
    "write_mode_of",
    "zone_named",
]

WriteMode = Literal["overwrite", "overwrite_interval", "append", "merge"]
WRITE_MODES: tuple[WriteMode, ...] = get_args(WriteMode)
READS = ("all", "lookback", "slice")
KINDS = ("date", "string", "timestamp", "timestamp_ntz")

_LOOKBACK = re.compile(r"([1-9][0-9]{0,5})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class IntervalSlice:
    """The rows of a run: those whose value of a column is in [start, end).

    Attributes:
        column: the column.
        start, end: the interval, both with a time zone.
        zone: the time zone of the column's dates, texts and timestamps without a zone.
    """

    column: str
    start: datetime
    end: datetime
    zone: str = "UTC"

    def bounds(self, kind: str) -> tuple[date, date] | tuple[datetime, datetime] | tuple[str, str]:
        """Return the first value of the slice and the first one behind it.

        >>> start = datetime(2013, 1, 1, tzinfo=timezone.utc)
        >>> day = IntervalSlice("day", start, datetime(2013, 1, 2, 5, tzinfo=timezone.utc))
        >>> day.bounds("string")
        ('2013-01-01', '2013-01-02T05')
        >>> [str(bound) for bound in day.bounds("date")]
        ['2013-01-01', '2013-01-03']

        Args:
            kind: the column's type in Spark's words, one of :data:`KINDS`.

        Raises:
            ValueError: it is of another type.
        """
        if kind == "timestamp":
            return self.start, self.end
        start, end = (_reading(moment, zone_named(self.zone)) for moment in (self.start, self.end))
        if kind == "timestamp_ntz":
            return start, end
        if kind == "date":
            return _day_from(start), _day_from(end)
        if kind == "string":
            return _iso(start), _iso(end)
        raise ValueError(f"no slices of type {kind!r}")

    def condition(self, kind: str) -> str:
        """Return Spark SQL that is true for the rows of the slice, and for no others.

        Raises:
            ValueError: as :meth:`bounds`.
        """
        first, behind = map(_literal, self.bounds(kind))
        column = "`" + self.column.replace("`", "``") + "`"
        return f"({column} >= {first} AND {column} < {behind})"

    def contains(self, value: Any, kind: str) -> bool:
        """Return whether a row with this value is one of the slice; nulls are in none."""
        if value is None:
            return False
        first, behind = self.bounds(kind)
        return bool(first <= value < behind)

    def contains_text(self, value: str | None, kind: str) -> bool:
        """Return the same for a value as the folders of partitions have it: dates in ISO 8601."""
        if kind != "date" or value is None:
            return self.contains(value, kind)
        try:
            return self.contains(date.fromisoformat(value), kind)
        except ValueError:  # beyond the year 9999, say: certainly not in this interval
            return False

    def reaching_back(self, lookback: str) -> IntervalSlice:
        """Return the slice with so much more before it: ``2d`` are days of the time zone."""
        number, unit = _lookback_parts(lookback)
        back = timedelta(**{_UNITS[unit]: number})
        if unit in "dw":
            zone = zone_named(self.zone)
            start = (_reading(self.start, zone) - back).replace(tzinfo=zone)
        else:
            start = self.start.astimezone(timezone.utc) - back
        return IntervalSlice(self.column, start.astimezone(timezone.utc), self.end, self.zone)

    def __str__(self) -> str:
        """Return the slice, human-readable."""
        return f"{self.column} in [{self.start.isoformat()}, {self.end.isoformat()})"


def write_mode_of(entity: EntityMetadata) -> WriteMode:
    """Return how an entity is written: its tag ``write_mode``, default ``overwrite``."""
    value: WriteMode = entity.tags.get(WRITE_MODE_TAG, "overwrite")
    return value


def interval_column_of(entity: EntityMetadata) -> str | None:
    """Return the column that assigns a row to a slice.

    It is the tag ``interval.column``; without it, where slices are replaced, the only partition
    column.
    """
    value = entity.tags.get(COLUMN_TAG)
    if value is not None:
        return str(value)
    if write_mode_of(entity) == "overwrite_interval" and len(entity.partition_columns) == 1:
        return entity.partition_columns[0]
    return None


def slice_of(
    entity: EntityMetadata, start: datetime | None, end: datetime | None
) -> IntervalSlice | None:
    """Return the slice of a run; None if the entity has no slices, or the run no interval."""
    column = interval_column_of(entity)
    if column is None or start is None or end is None:
        return None
    return IntervalSlice(column, start, end, str(entity.tags.get(TIMEZONE_TAG, "UTC")))


def read_of(pipe: PipeMetadata, entity_id: str) -> str:
    """Return how much a pipe reads of an input that has slices: one of :data:`READS`.

    The tag ``interval.read.<entity>`` comes before ``interval.read``; a pipe with a lookback uses
    it by default; else everything is read.
    """
    default = "lookback" if LOOKBACK_TAG in pipe.tags else "all"
    general = pipe.tags.get(READ_TAG, default)
    return str(pipe.tags.get(f"{READ_TAG}.{entity_id}", general))


def lookback_of(pipe: PipeMetadata) -> str:
    """Return how far a pipe looks back, like ``2d``; "" without one."""
    return str(pipe.tags.get(LOOKBACK_TAG, ""))


def zone_named(name: str) -> tzinfo:
    """Return a time zone; UTC needs no database of zones.

    Raises:
        ValueError: there is none of this name.
    """
    if name == "UTC":
        return timezone.utc
    from zoneinfo import ZoneInfo  # most runs do without

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"no time zone {name!r}") from None


def _reading(instant: datetime, zone: tzinfo) -> datetime:
    """Return what the clock of a zone shows, such that no reading is in two slices, or in none.

    Where it has just gone forward that is the first reading that was left out: a day whose midnight
    was begins there. A reading that comes twice counts the second time; until it does, it is the
    first of those that come twice.
    """
    instant = instant.astimezone(timezone.utc)
    there = instant.astimezone(zone)
    before = (instant - timedelta.resolution).astimezone(zone)
    forward = _offset(there) - _offset(before)
    if forward > timedelta(0):
        return there.replace(tzinfo=None) - forward
    # Shown a second time, it is a later instant: by as much as the clock will have gone back.
    back = _offset(there) - _offset(there.replace(fold=1))
    if not there.fold and back > timedelta(0):
        return _change(instant, instant + back, zone).astimezone(zone).replace(tzinfo=None)
    return there.replace(tzinfo=None, fold=0)


def _change(before: datetime, behind: datetime, zone: tzinfo) -> datetime:
    """Return the first instant of a zone's next offset, between one before and one behind it."""
    old = _offset(before.astimezone(zone))
    while behind - before > timedelta.resolution:
        middle = before + (behind - before) // 2
        if _offset(middle.astimezone(zone)) == old:
            before = middle
        else:
            behind = middle
    return behind


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)


def _lookback_parts(text: str) -> tuple[int, str]:
    found = _LOOKBACK.fullmatch(text)
    if found is None:
        raise ValueError(f"no time to look back: {text!r}")
    return int(found[1]), found[2]


def _day_from(moment: datetime) -> date:
    """Return the first day that begins at or after a time, in its zone."""
    begun = moment.time() != datetime.min.time()
    return moment.date() + timedelta(days=1) if begun else moment.date()


def _iso(moment: datetime) -> str:
    """Return the shortest text, which sorts before all longer ones of the same time."""
    if moment.second or moment.microsecond:
        return moment.isoformat()
    if moment.minute:
        return moment.isoformat(timespec="minutes")
    return moment.isoformat(timespec="hours") if moment.hour else moment.date().isoformat()


def _literal(value: date | datetime | str) -> str:
    if isinstance(value, str):
        return "'" + value + "'"
    if isinstance(value, datetime):
        kind = "TIMESTAMP_NTZ" if value.tzinfo is None else "TIMESTAMP"
        moment = value if value.tzinfo is None else value.astimezone(timezone.utc)
        return f"{kind}'{moment.isoformat()}'"
    return f"DATE'{value.isoformat()}'"


def _is_zone(name: object) -> bool:
    try:
        zone_named(str(name))
    except ValueError:
        return False
    return True


LOOKBACK = Value(
    "a number of minutes, hours, days or weeks, such as 90m, 6h, 2d, 1w",
    {"type": "string", "pattern": f"^{_LOOKBACK.pattern}$"},
    lambda text: isinstance(text, str) and _LOOKBACK.fullmatch(text) is not None,
)
TIME_ZONE = Value("a time zone, such as 'Europe/Zurich' or 'UTC'", {"type": "string"}, _is_zone)
