"""The instants between which data intervals lie, against a clock that is looked at every minute."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kindling_airflow.common.schedule_times import CronTimes, PeriodTimes, Times
from tests.oracle.clocks_oracle import Change, Wall, changes_of_2026

CHANGES = list(changes_of_2026())
SOAKED = "KINDLING_CLOCK_EXAMPLES" in os.environ
AROUND = timedelta(days=2, hours=12)
SECOND = timedelta(seconds=1)
EXAMPLES = int(os.environ.get("KINDLING_CLOCK_EXAMPLES", "15"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def zone_of(change: Change) -> ZoneInfo:
    return ZoneInfo(changes_of_2026()[change][0])


def name_of(change: Change) -> str:
    return f"{changes_of_2026()[change][0]} {change.at:%m-%d}"


def forwards(times: Times, first: datetime, behind: datetime) -> list[datetime]:
    found = [times.after(first)]
    while found[-1] < behind:
        found.append(times.after(found[-1]))
    return found[:-1]


def backwards(times: Times, first: datetime, behind: datetime) -> list[datetime]:
    found = [times.before(behind)]
    while found[-1] > first:
        found.append(times.before(found[-1]))
    return found[-2::-1]


def crons_around(change: Change) -> tuple[str, ...]:
    """Return expressions that fall into the change of a clock, beside it, and on its day."""
    shown = sorted(change.at + offset for offset in (change.old, change.new))
    hour, last = shown[0].hour, (shown[1] - timedelta(minutes=1)).hour
    day = shown[0].isoweekday() % 7
    return (
        "0 0 * * *",
        f"0 0 * * {day}",
        f"0 {hour} * * *",
        f"30 {hour} * * *",
        f"15,45 {hour} * * *",
        f"45 {last} * * {day}",
        f"0 {(last + 1) % 24} * * *",
        f"*/20 {hour},{last},{(last + 1) % 24} * * *",
        "0 */2 * * *",
        "1 1-23/2 * * *",
        f"30 {hour} {shown[0].day} {shown[0].month} *",
        "0 * * * *",
        "30 * * * *",
        "*/15 * * * *",
    )


@pytest.mark.parametrize("change", CHANGES, ids=name_of)
class TestEveryChangeOfAClockIn2026:
    def test_times_are_those_that_the_wall_clock_shows(self, change: Change) -> None:
        zone = zone_of(change)
        wall = Wall(zone, change.at - AROUND - timedelta(days=1), change.at + AROUND)
        shown = change.at + change.old, change.new - change.old
        is_first = shown not in [(c.at + c.old, c.new - c.old) for c in CHANGES if c < change]
        # Zones that change at the same time of their clocks: all of it for one of them.
        for expression in crons_around(change)[:: 1 if is_first or SOAKED else 5]:
            times = CronTimes(expression, zone)
            around = AROUND if expression.split()[1].isdigit() else AROUND / 10
            first, behind = change.at - around, change.at + around
            due = [at for at in wall.due(expression) if first < at < behind]
            assert forwards(times, first, behind) == due, expression
            assert backwards(times, first, behind) == due, expression

    def test_from_any_instant_the_next_and_the_last_one_are_neighbours(
        self, change: Change
    ) -> None:
        for expression in crons_around(change)[2:5]:
            times = CronTimes(expression, zone_of(change))
            for minutes in range(-150, 151, 50):
                at = change.at + timedelta(minutes=minutes)
                assert times.before(times.after(at)) == times.at_or_before(at) <= at
                assert times.after(times.before(at)) == times.at_or_after(at) >= at


FIELD = st.sampled_from
MINUTES = FIELD(["0", "30", "59", "15,45", "*/20", "1-59/7"])
HOURS = FIELD(["*", "0", "1", "2", "3", "23", "1-3", "*/2", "*/6", "0,2,22-23", "1-23/2"])
DAYS = FIELD(["*", "1", "29", "25-31", "*/2"])
MONTHS = FIELD(["*", "3", "3,10", "4-11"])
WEEKDAYS = FIELD(["*", "0", "7", "1-5", "5,6"])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(CHANGES), st.tuples(MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS))
def test_any_expression_is_due_when_the_wall_clock_shows_it(
    change: Change, fields: tuple[str, ...]
) -> None:
    expression = " ".join(fields)
    zone, first, behind = zone_of(change), change.at - AROUND / 5, change.at + AROUND / 5
    due = Wall(zone, first - timedelta(days=1), behind).due(expression)
    due = [at for at in due if first < at < behind]
    times = CronTimes(expression, zone)
    assert forwards(times, first, behind) == due == backwards(times, first, behind)


def test_weeks_and_months_over_a_year_are_without_gap_and_overlap() -> None:
    for zone, expression, number in (
        ("Asia/Beirut", "0 0 * * 0", 52),
        ("Europe/Zurich", "30 2 29 * *", 11),
        ("America/Havana", "0 0 1 * *", 12),
        ("Europe/Zurich", "0 0 1 */3 *", 4),
    ):
        times = CronTimes(expression, ZoneInfo(zone))
        found = forwards(times, utc("2025-12-31T12:00:00"), utc("2026-12-31T12:00:00"))
        assert len(found) == number
        assert found == backwards(times, utc("2025-12-31T12:00:00"), utc("2026-12-31T12:00:00"))


def test_days_that_a_zone_left_out_are_due_when_they_were_over() -> None:
    """30 December 2011 did not exist in Samoa."""
    times = CronTimes("0 12 * * *", ZoneInfo("Pacific/Apia"))
    found = forwards(times, utc("2011-12-28"), utc("2012-01-01"))
    assert found == [utc(f"2011-12-{day}T22:00:00") for day in (28, 29, 30, 31)]
    assert found == backwards(times, utc("2011-12-28"), utc("2012-01-01"))


def test_seconds_and_instants_of_airflow() -> None:
    times = CronTimes("0 2 * * *", ZoneInfo("Europe/Zurich"))
    at = pendulum.datetime(2026, 3, 29, 0, 59, 59, 999_999)
    assert times.after(at) == times.at_or_after(at) == utc("2026-03-29T01:00:00")
    assert times.before(at) == times.at_or_before(at) == utc("2026-03-28T01:00:00")
    assert type(times.after(at)) is datetime


class TestPeriods:
    @settings(max_examples=50, deadline=None)
    @given(
        st.integers(-(10**9), 4 * 10**9).map(lambda n: utc("1970-01-01") + n * SECOND),
        st.sampled_from([timedelta(minutes=7), timedelta(hours=6), timedelta(days=1)]),
    )
    def test_they_are_counted_from_1970(self, at: datetime, length: timedelta) -> None:
        times = PeriodTimes(length)
        around = times.at_or_before(at), times.at_or_after(at)
        assert all((end - utc("1970-01-01")) % length == timedelta(0) for end in around)
        assert around[0] <= at <= around[1]
        assert around[1] - around[0] in (timedelta(0), length)
        assert times.before(at) < at < times.after(at)
        assert times.after(times.before(at)) == around[1]

    def test_instants_of_airflow(self) -> None:
        at: Any = pendulum.datetime(2026, 1, 1, 7)
        times = PeriodTimes(timedelta(hours=6))
        assert times.at_or_before(at) == utc("2026-01-01T06:00:00")
        assert times.at_or_after(at) == utc("2026-01-01T12:00:00")


class TestReadings:
    ZURICH = CronTimes("0 * * * *", ZoneInfo("Europe/Zurich"))
    FORM = "%Y-%m-%dT%H:%M"

    @pytest.mark.parametrize(
        ("text", "instant"),
        [
            ("2026-10-25T01:00", "2026-10-24T23:00:00"),
            ("2026-10-25T02:00+0200", "2026-10-25T00:00:00"),
            ("2026-10-25T02:00", "2026-10-25T01:00:00"),
            ("2026-03-29T02:30", "2026-03-29T01:30:00"),  # left out: by the old clock
        ],
    )
    def test_a_text_is_an_instant(self, text: str, instant: str) -> None:
        assert self.ZURICH.due_at_text(text, self.FORM) == utc(instant)

    def test_another_text_is_none(self) -> None:
        assert self.ZURICH.due_at_text("by hand", self.FORM) is None

    def test_a_reading_that_comes_twice_counts_from_the_first_time_where_every_hour_does(
        self,
    ) -> None:
        reading = datetime.fromisoformat("2026-10-25T02:00")
        assert self.ZURICH.due_from(reading) == utc("2026-10-25T00:00:00")
        nights = CronTimes("0 2 * * *", ZoneInfo("Europe/Zurich"))
        assert nights.due_from(reading) == utc("2026-10-25T01:00:00")

    def test_which_is_the_first_of_two(self) -> None:
        hours = forwards(self.ZURICH, utc("2026-10-24T22:30:00"), utc("2026-10-25T03:00:00"))
        assert [self.ZURICH.is_first_of_two(at) for at in hours] == [False, True, False, False]
        assert not self.ZURICH.is_first_of_two(utc("2026-03-29T01:00:00"))


def test_intervals_have_a_length() -> None:
    """What this package was found to lose: 28 March, whose next night begins at 03:00."""
    times = CronTimes("0 2 * * *", ZoneInfo("Europe/Zurich"))
    found = forwards(times, utc("2026-03-27"), utc("2026-04-01"))
    lengths = [(after - before).total_seconds() / 3600 for before, after in pairwise(found)]
    assert lengths == [24, 24, 23, 24]
