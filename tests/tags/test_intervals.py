"""Slices: an interval in the terms of a column, of each type that a column may have."""

from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.intervals import (
    IntervalSlice,
    interval_column_of,
    lookback_of,
    read_of,
    slice_of,
    zone_named,
)

UTC = timezone.utc
DAY = IntervalSlice("day", datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC))


def between(start: str, end: str, zone: str = "UTC") -> IntervalSlice:
    first, behind = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    return IntervalSlice("c", first, behind, zone)


@pytest.mark.parametrize(
    ("kind", "condition"),
    [
        ("date", "(`day` >= DATE'2013-01-01' AND `day` < DATE'2013-01-02')"),
        ("string", "(`day` >= '2013-01-01' AND `day` < '2013-01-02')"),
        (
            "timestamp",
            (
                "(`day` >= TIMESTAMP'2013-01-01T00:00:00+00:00' "
                "AND `day` < TIMESTAMP'2013-01-02T00:00:00+00:00')"
            ),
        ),
        (
            "timestamp_ntz",
            (
                "(`day` >= TIMESTAMP_NTZ'2013-01-01T00:00:00' "
                "AND `day` < TIMESTAMP_NTZ'2013-01-02T00:00:00')"
            ),
        ),
    ],
)
def test_a_slice_is_a_condition_in_sql(kind: str, condition: str) -> None:
    assert DAY.condition(kind) == condition


def test_columns_of_other_types_have_no_slices() -> None:
    with pytest.raises(ValueError, match=r"^no slices of type 'int'$"):
        DAY.condition("int")


def test_a_day_lies_where_it_begins_in_the_entitys_time_zone() -> None:
    zurich = between("2013-01-01T23:00", "2013-01-02T23:00", "Europe/Zurich")
    assert zurich.bounds("date") == (date(2013, 1, 2), date(2013, 1, 3))
    assert zurich.bounds("timestamp_ntz")[0] == datetime.fromisoformat("2013-01-02")


def test_intervals_of_hours_have_a_day_only_where_one_begins() -> None:
    first, second = (
        between("2013-01-01T00:00", "2013-01-01T01:00"),
        between("2013-01-01T01:00", "2013-01-01T02:00"),
    )
    assert first.contains(date(2013, 1, 1), "date")
    assert not second.contains(date(2013, 1, 1), "date")
    assert second.contains("2013-01-01T01", "string")
    assert second.contains("2013-01-01T01:59:59", "string")
    assert not second.contains("2013-01-01T02", "string")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("2013-01-01T00:00:00", "2013-01-01"),
        ("2013-01-01T05:00:00", "2013-01-01T05"),
        ("2013-01-01T05:30:00", "2013-01-01T05:30"),
        ("2013-01-01T05:30:01", "2013-01-01T05:30:01"),
    ],
)
def test_texts_are_as_short_as_they_can_be(moment: str, text: str) -> None:
    assert between(moment, "2014-01-01").bounds("string")[0] == text


def test_nulls_and_nonsense_lie_in_no_slice() -> None:
    assert not DAY.contains(None, "date")
    assert not DAY.contains_text(None, "date")
    assert not DAY.contains_text("+10000-01-01", "date")
    assert DAY.contains_text("2013-01-01", "date")
    assert DAY.contains_text("2013-01-01T10", "string")


def test_looking_back_over_a_change_of_the_clock_gives_whole_days() -> None:
    """On 2013-03-31 Zurich's day has 23 hours."""
    zone = ZoneInfo("Europe/Zurich")
    start, end = datetime(2013, 4, 1, tzinfo=zone), datetime(2013, 4, 2, tzinfo=zone)
    part = IntervalSlice("day", start, end, "Europe/Zurich")
    assert part.reaching_back("2d").bounds("date") == (date(2013, 3, 30), date(2013, 4, 2))
    assert part.reaching_back("1w").bounds("date")[0] == date(2013, 3, 25)
    assert part.start - part.reaching_back("36h").start.astimezone(UTC) == timedelta(hours=36)
    with pytest.raises(ValueError, match=r"^no time to look back: 'long'$"):
        part.reaching_back("long")


@given(
    start=st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2050-01-01")),
    hours=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    zone=st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Asia/Kathmandu"]),
    days=st.integers(0, 20),
)
def test_contiguous_intervals_share_no_day_and_leave_none_out(
    start: datetime, hours: list[int], zone: str, days: int
) -> None:
    moments = [start.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)]
    for n in hours:
        moments.append(moments[-1] + timedelta(hours=n))
    parts = [IntervalSlice("d", a, b, zone) for a, b in itertools.pairwise(moments)]
    whole = IntervalSlice("d", moments[0], moments[-1], zone)
    day = start.date() + timedelta(days=days - 1)
    assert sum(part.contains(day, "date") for part in parts) == whole.contains(day, "date")


class TestChangesOfTheClock:
    """Schedules give these intervals; see tests/dag_factory/test_clocks.py."""

    BEIRUT = (  # on 29 March 2026 the clock goes from 00:00 to 01:00
        between("2026-03-27T22:00", "2026-03-28T22:00", "Asia/Beirut"),
        between("2026-03-28T22:00", "2026-03-29T21:00", "Asia/Beirut"),
    )

    def test_a_day_whose_midnight_is_left_out_begins_there(self) -> None:
        first, second = self.BEIRUT
        assert first.bounds("date") == (date(2026, 3, 28), date(2026, 3, 29))
        assert second.bounds("date") == (date(2026, 3, 29), date(2026, 3, 30))
        assert second.bounds("string") == ("2026-03-29", "2026-03-30")
        assert second.reaching_back("1d").bounds("date")[0] == date(2026, 3, 28)

    def test_a_day_whose_midnight_comes_twice_is_the_second_ones(self) -> None:
        """On 1 November 2026 Havana's clock goes from 01:00 to 00:00."""
        october = between("2026-10-31T04:00", "2026-11-01T05:00", "America/Havana")
        november = between("2026-11-01T05:00", "2026-11-02T05:00", "America/Havana")
        assert october.bounds("date") == (date(2026, 10, 31), date(2026, 11, 1))
        assert november.bounds("date") == (date(2026, 11, 1), date(2026, 11, 2))

    def test_a_time_that_is_left_out_lies_behind(self) -> None:
        before, behind = (
            between("2026-03-28T01:00", "2026-03-29T01:00", "Europe/Zurich"),
            between("2026-03-29T01:00", "2026-03-30T00:00", "Europe/Zurich"),
        )
        left_out = datetime.fromisoformat("2026-03-29T02:30")
        assert behind.contains(left_out, "timestamp_ntz")
        assert not before.contains(left_out, "timestamp_ntz")

    @pytest.mark.parametrize("minutes", [15, 30, 60, 90, 24 * 60])
    @pytest.mark.parametrize(
        ("zone", "around"),
        [
            ("Europe/Zurich", "2026-03-29T01:00"),
            ("Europe/Zurich", "2026-10-25T01:00"),
            ("Asia/Beirut", "2026-03-28T22:00"),
            ("Asia/Beirut", "2026-10-24T21:00"),
            ("America/Havana", "2026-11-01T05:00"),
            ("Australia/Lord_Howe", "2026-04-04T15:00"),
            ("Australia/Lord_Howe", "2026-10-03T15:30"),
            ("Antarctica/Troll", "2026-10-25T01:00"),
        ],
    )
    def test_every_reading_of_the_clock_lies_in_one_slice(
        self, zone: str, around: str, minutes: int
    ) -> None:
        first = datetime.fromisoformat(around).replace(tzinfo=UTC) - timedelta(days=1)
        length = timedelta(minutes=minutes)
        moments = [first + n * length for n in range(int(timedelta(days=3) / length))]
        parts = [IntervalSlice("c", a, b, zone) for a, b in itertools.pairwise(moments)]

        kinds = ("timestamp_ntz", "string", "date")
        bounds = {kind: [part.bounds(kind) for part in parts] for kind in kinds}

        def lies_in(value: Any, kind: str) -> int:
            return sum(least <= value < behind for least, behind in bounds[kind])

        for n in range(0, 24 * 60, 7):
            reading = (first + timedelta(hours=12, minutes=n)).astimezone(ZoneInfo(zone))
            wall = reading.replace(tzinfo=None)
            assert lies_in(wall, "timestamp_ntz") == 1
            assert lies_in(wall.isoformat(timespec="minutes"), "string") == 1
        assert lies_in((first + timedelta(days=1)).astimezone(ZoneInfo(zone)).date(), "date") == 1

    def test_a_reading_that_comes_twice_lies_where_it_comes_last(self) -> None:
        quarters = [
            between(
                f"2026-10-25T0{n // 4}:{n % 4 * 15:02}",
                f"2026-10-25T0{(n + 1) // 4}:{(n + 1) % 4 * 15:02}",
                "Europe/Zurich",
            )
            for n in range(8)
        ]
        twice = datetime.fromisoformat("2026-10-25T02:20")
        assert [n for n in range(8) if quarters[n].contains(twice, "timestamp_ntz")] == [5]


def entity(*parts: str, **tags: Any) -> EntityMetadata:
    named = {key.replace("__", "."): value for key, value in tags.items()}
    return EntityMetadata("e", tags=freeze(named), partition_columns=parts)


def test_the_column_is_the_only_partition_where_slices_are_replaced() -> None:
    assert interval_column_of(entity("day", write_mode="overwrite_interval")) == "day"
    assert interval_column_of(entity("day")) is None
    assert interval_column_of(entity("a", "b", write_mode="overwrite_interval")) is None
    assert interval_column_of(entity("a", interval__column="b")) == "b"


def test_a_run_without_an_interval_has_no_slice() -> None:
    daily = entity("day", write_mode="overwrite_interval", interval__timezone="Asia/Tokyo")
    assert slice_of(daily, None, None) is None
    assert slice_of(entity(), DAY.start, DAY.end) is None
    assert slice_of(daily, DAY.start, DAY.end) == IntervalSlice(
        "day", DAY.start, DAY.end, "Asia/Tokyo"
    )


def test_how_much_is_read_of_an_input() -> None:
    def reads(**tags: Any) -> str:
        named = {key.replace("__", "."): value for key, value in tags.items()}
        return read_of(PipeMetadata("p", "p", None, freeze(named), ("e",), "o"), "e")

    assert lookback_of(PipeMetadata("p", "p", None)) == ""
    assert reads() == "all"
    assert reads(interval__lookback="2d") == "lookback"
    assert reads(interval__lookback="2d", interval__read="slice") == "slice"
    assert reads(interval__read="slice", interval__read__e="all") == "all"


def test_time_zones_have_names() -> None:
    assert zone_named("UTC") is UTC
    with pytest.raises(ValueError, match=r"^no time zone '../etc/passwd'$"):
        zone_named("../etc/passwd")


def test_a_slice_reads_as_one_expects() -> None:
    assert str(DAY) == "day in [2013-01-01T00:00:00+00:00, 2013-01-02T00:00:00+00:00)"
