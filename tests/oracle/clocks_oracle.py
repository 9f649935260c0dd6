"""When cron expressions are due where clocks change, found by looking at a clock every minute.

Knows nothing of croniter, of Airflow, or of how the package counts: the minutes of UTC, one after
the other, are shown on the wall clock of a zone, and each reading is compared with the fields of
the expression. Readings that the clock leaves out count by the old clock; of readings that come
twice the last one counts, and each of them in expressions for every hour.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

__all__ = ["Change", "Wall", "changes_of_2026"]

_MINUTE = timedelta(minutes=1)
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True, order=True)
class Change:
    """A change of a clock: the first instant of the new offset, and both offsets from UTC."""

    at: datetime
    old: timedelta
    new: timedelta


@cache
def changes_of_2026() -> dict[Change, list[str]]:
    """Return every change of a clock in 2026, with the zones that have it."""
    found: dict[Change, list[str]] = defaultdict(list)
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        day = datetime(2026, 1, 1, tzinfo=timezone.utc)
        while day.year == 2026:
            behind = day + timedelta(days=1)
            old, new = _offset(day, zone), _offset(behind, zone)
            if old != new:
                at = next(
                    minute
                    for n in range(24 * 60 + 1)
                    if _offset(minute := day + n * _MINUTE, zone) == new
                )
                found[Change(at, old, new)].append(name)
            day = behind
    return dict(sorted(found.items()))


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


class Wall:
    """The wall clock of a zone, every minute from one instant to another.

    Args:
        zone: the zone.
        first, behind: the instants in UTC.
    """

    def __init__(self, zone: ZoneInfo, first: datetime, behind: datetime) -> None:
        self._shown: dict[tuple[int, int], list[tuple[datetime, datetime]]] = defaultdict(list)
        self._left_out: list[tuple[datetime, datetime]] = []
        last = None
        at = first
        while at < behind:
            reading = at.astimezone(zone).replace(tzinfo=None, fold=0)
            if last is not None:
                following = last + _MINUTE
                for n in range((reading - following) // _MINUTE):
                    self._left_out.append((following + n * _MINUTE, at + n * _MINUTE))
            self._shown[reading.hour, reading.minute].append((reading, at))
            last = reading
            at += _MINUTE

    def due(self, expression: str) -> list[datetime]:
        """Return the instants at which an expression of five fields is due, in order."""
        minutes, hours, days, months, weekdays = (
            _numbers(field, *limits)
            for field, limits in zip(expression.split(), _FIELDS, strict=True)
        )
        any_day, any_weekday = (expression.split()[n] == "*" for n in (2, 4))

        def is_day(reading: datetime) -> bool:
            is_date = reading.day in days
            is_weekday = reading.isoweekday() % 7 in {day % 7 for day in weekdays}
            fits = is_date or is_weekday if not (any_day or any_weekday) else is_date and is_weekday
            return fits and reading.month in months

        found: set[datetime] = set()
        for hour in hours:
            for minute in minutes:
                shown = [each for each in self._shown[hour, minute] if is_day(each[0])]
                # Of instants with one reading the last one stays.
                found |= {at for _, at in shown} if len(hours) == 24 else set(dict(shown).values())
        for reading, at in self._left_out:
            if reading.hour in hours and reading.minute in minutes and is_day(reading):
                found.add(at)
        return sorted(found)


def _numbers(field: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            first, last = str(least), str(most)
        elif not last:
            last = str(most) if step else first
        found |= set(range(int(first), int(last) + 1, int(step or 1)))
    return found
