"""At which instants a schedule is due: what its data intervals are between.

| the clock of the zone             | times of a cron expression that it touches                |
|-----------------------------------|-----------------------------------------------------------|
| goes forward, from 02:00 to 03:00 | count by the old clock: 02:30 is due at 03:30             |
| goes back, from 03:00 to 02:00    | count once, the second time; where the expression is for  |
|                                   | every hour, both times                                    |

So no time of the expression is left out, no two are one instant, and the intervals between them are
without gaps, overlaps and intervals of no length. Airflow goes from one to the next by the clock on
the wall, which shows it one instant twice where the clock goes forward: counted backwards, 03:00
follows 03:00, and 28 March is lost.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SECOND = timedelta(seconds=1)
_NEAR = timedelta(hours=25)
"""No clock changes by more than a day: what is farther away cannot touch a time."""


class Times(ABC):
    """Instants in order, endless in both directions; all in UTC."""

    @abstractmethod
    def after(self, instant: datetime) -> datetime:
        """Return the first time later than an instant."""

    @abstractmethod
    def before(self, instant: datetime) -> datetime:
        """Return the last time earlier than an instant."""

    def at_or_after(self, instant: datetime) -> datetime:
        """Return the first time that is not earlier than an instant."""
        return self.after(_plain(instant) - timedelta.resolution)

    def at_or_before(self, instant: datetime) -> datetime:
        """Return the last time that is not later than an instant."""
        return self.before(_plain(instant) + timedelta.resolution)


class PeriodTimes(Times):
    """The ends of periods of a fixed length, counted from 1970 in UTC.

    Args:
        length: of a period; more than nothing.
    """

    def __init__(self, length: timedelta) -> None:
        self.length = length

    def after(self, instant: datetime) -> datetime:
        """Return the first time later than an instant."""
        return _plain(instant) - _since_epoch(instant) % self.length + self.length

    def before(self, instant: datetime) -> datetime:
        """Return the last time earlier than an instant."""
        return _plain(instant) + (-_since_epoch(instant)) % self.length - self.length


class CronTimes(Times):
    """The instants at which a cron expression is due.

    >>> from zoneinfo import ZoneInfo
    >>> nights = CronTimes("0 2 * * *", ZoneInfo("Europe/Zurich"))
    >>> nights.after(datetime(2026, 3, 28, 1, tzinfo=timezone.utc)).isoformat()  # 03:00 there
    '2026-03-29T01:00:00+00:00'

    Args:
        expression: a cron expression that croniter knows.
        zone: the time zone of its hours and days.
    """

    def __init__(self, expression: str, zone: tzinfo) -> None:
        from croniter import croniter  # type: ignore[import-untyped]

        self.expression = expression
        self.zone = zone
        self._cron: Any = croniter
        self._is_hourly = croniter(expression).expanded[1] == ["*"]

    def after(self, instant: datetime) -> datetime:
        """Return the first time later than an instant."""
        instant = _plain(instant)
        readings = self._readings(instant, forward=True)
        found = self._first_found(readings, lambda at: at > instant)
        if not self._slack(found[0]):
            return min(found)
        while True:
            old, new = self._instants(next(readings))
            if min(old, new) >= min(found):
                return min(found)  # all that follows is later
            found += [at for at in self._due(old, new) if at > instant]

    def before(self, instant: datetime) -> datetime:
        """Return the last time earlier than an instant."""
        instant = _plain(instant)
        readings = self._readings(instant, forward=False)
        found = self._first_found(readings, lambda at: at < instant)
        # An earlier reading may be a later instant: one that the clock has left out.
        slack = self._slack(found[0])
        least = found[0].astimezone(self.zone).replace(tzinfo=None) - 2 * slack
        while slack and (reading := next(readings)) >= least:
            found += [at for at in self._due(*self._instants(reading)) if at < instant]
        return max(found)

    def due_from(self, reading: datetime) -> datetime:
        """Return the first instant at which a reading of the zone's clock counts, in UTC."""
        return self._due(*self._instants(reading))[0]

    def due_at_text(self, text: str, form: str) -> datetime | None:
        """Return the instant of a text that is a reading of the zone's clock, in UTC.

        Of two instants it is the second one; the text of the first one states its offset.

        Args:
            text: the reading.
            form: its format, as :func:`time.strftime` has it.

        Returns:
            The instant, or None for a text of another format.
        """
        for each in (form, f"{form}%z"):
            try:
                reading = datetime.strptime(text, each)  # noqa: DTZ007 (of the zone)
            except ValueError:
                continue
            if reading.tzinfo is not None:
                return reading.astimezone(timezone.utc)
            return self._due(*self._instants(reading))[-1]
        return None

    def is_first_of_two(self, instant: datetime) -> bool:
        """Return whether the clock will show the reading of an instant a second time."""
        there = _plain(instant).astimezone(self.zone)
        old, new = self._instants(there.replace(tzinfo=None, fold=0))
        return old < new and old == instant

    def _first_found(
        self, readings: Iterator[datetime], fits: Callable[[datetime], bool]
    ) -> list[datetime]:
        while True:
            found = [at for at in self._due(*self._instants(next(readings))) if fits(at)]
            if found:
                return found

    def _readings(self, instant: datetime, *, forward: bool) -> Iterator[datetime]:
        """Yield what the expression fits on the wall clock, from the first that may be of use."""
        wall = instant.astimezone(self.zone).replace(tzinfo=None, microsecond=0, fold=0)
        slack = self._slack(instant) + _SECOND
        cron = self._cron(self.expression, wall - slack if forward else wall + slack)
        step = cron.get_next if forward else cron.get_prev
        while True:
            yield step(datetime)

    def _slack(self, instant: datetime) -> timedelta:
        """Return by how much the clock changes near an instant."""
        offsets = [
            (instant + near).astimezone(self.zone).utcoffset() or timedelta(0)
            for near in (-_NEAR, timedelta(0), _NEAR)
        ]
        return max(offsets) - min(offsets)

    def _instants(self, reading: datetime) -> tuple[datetime, datetime]:
        """Return when the clock shows a reading: by its state before a change, and behind it."""
        there = reading.replace(tzinfo=self.zone)
        return there.astimezone(timezone.utc), there.replace(fold=1).astimezone(timezone.utc)

    def _due(self, old: datetime, new: datetime) -> tuple[datetime, ...]:
        if old > new:  # left out: by the old clock it is later
            return (old,)
        return (old, new) if self._is_hourly and old < new else (new,)


def _plain(instant: datetime) -> datetime:
    """Return an instant in UTC as Python has it: Airflow's are of a class that counts otherwise."""
    return _EPOCH + _since_epoch(instant)


def _since_epoch(instant: datetime) -> timedelta:
    return datetime.__sub__(instant, _EPOCH)
