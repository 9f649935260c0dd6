"""Schedules over changes of the clock: the runs that Airflow makes, and the slices they get."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import (
    DAG,
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronPartitionTimetable,
)
from airflow.sdk.definitions.asset import Asset
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables import interval as core_interval
from airflow.timetables import trigger as core_trigger
from airflow.timetables.base import DataInterval, TimeRestriction

from kindling_airflow.dag_factory import core_timetables
from kindling_airflow.dag_factory.timetables import (
    KindlingCronTimetable,
    KindlingPartitionTimetable,
    KindlingPeriodTimetable,
)
from kindling_airflow.operators.run_interval import run_interval
from tests.dag_factory.test_schedules import built, intervals, stored, utc
from tests.oracle.clocks_oracle import Change, Wall, changes_of_2026

AROUND = timedelta(days=1, hours=18)
Series = list[tuple[datetime, datetime]]


def pairs(times: list[datetime]) -> Series:
    return list(pairwise(times))


def as_stored(timetable: Any) -> Any:
    return decode_timetable(encode_timetable(timetable))


def scheduled(timetable: Any, first: datetime, behind: datetime, *, catchup: bool = True) -> Series:
    """Return the intervals of one run after the other, as the scheduler makes them."""
    restriction = TimeRestriction(pendulum.instance(first), None, catchup=catchup)
    found: Series = []
    last: Any = None
    while last is None or last.end < behind:
        last = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        ).data_interval
        found.append((last.start, last.end))
    return found


def by_hand(timetable: Any, at: datetime) -> tuple[datetime, datetime]:
    found = timetable.infer_manual_data_interval(run_after=pendulum.instance(at))
    return found.start, found.end


def slice_of_run(timetable: Any, **run: Any) -> Any:
    dag = DAG("x", schedule=None)
    dag.timetable = timetable
    return run_interval({"dag": dag, "dag_run": SimpleNamespace(run_id="r", **run)}, "full")


def only_key(key: str) -> dict[str, Any]:
    """Return a run that knows the key alone; those of Airflow 3.2 never know a date."""
    has_date = hasattr(core_trigger.CronPartitionTimetable, "_decode_partition_date")
    return {"partition_key": key, **({"partition_date": None} if has_date else {})}


@pytest.mark.parametrize("change", list(changes_of_2026()), ids=lambda c: f"{c.at:%m-%d-%H-%M}")
def test_scheduled_manual_and_partition_runs_have_the_intervals_of_the_wall_clock(
    change: Change,
) -> None:
    name = changes_of_2026()[change][-1]
    first, behind = change.at - AROUND, change.at + AROUND
    wall = Wall(ZoneInfo(name), first, behind + timedelta(days=2))
    hour = min(change.at + change.old, change.at + change.new).hour
    for expression in (f"0 {hour} * * *", f"30 {hour} * * *", "0 0 * * *"):
        series = pairs(wall.due(expression))
        series = [each for each in series if each[0] <= behind]
        cron = as_stored(KindlingCronTimetable(expression, name))
        assert scheduled(cron, first, series[-1][1]) == series, expression
        partition = KindlingPartitionTimetable(expression, timezone=name, run_offset=-1)
        for start, end in series:
            for late in (0, 1, 90):
                at = min(end + timedelta(minutes=late), max(e for _, e in series))
                found = [each for each in series if each[1] <= at][-1]
                assert by_hand(cron, at) == found, expression
            assert by_hand(as_stored(partition), end) == (start, end)
            key = as_stored(partition)._get_partition_info(run_date=pendulum.instance(end))
            assert key[0] == start
            known = {"partition_key": key[1], "partition_date": start}
            for run in (known, only_key(key[1])):
                assert slice_of_run(partition, **run) == (start, end)
            # What Airflow's own timetable has given a run by hand, and what is stored of it.
            empty = {"data_interval_start": end, "data_interval_end": end}
            assert slice_of_run(CronDataIntervalTimetable(expression, name), **empty) == (
                start,
                end,
            )


class TestPartitions:
    """What lost 28 March."""

    def test_a_backfill_has_each_day_once(self, tmp_path: Path) -> None:
        dag = built(
            tmp_path,
            schedule={"partitions": "0 2 * * *"},
            timezone="Europe/Zurich",
            start_date="2026-01-01",
        )
        infos = stored(dag).iter_dagrun_infos_between(utc("2026-03-27"), utc("2026-03-31"))
        runs = [
            {"partition_key": info.partition_key, "partition_date": info.partition_date}
            for info in infos
        ]
        times = [f"2026-03-{day}T01:00:00" for day in (27, 28, 29)] + [
            f"2026-03-{day}T00:00:00" for day in (30, 31)
        ]
        # Airflow 3.2 looks at the dates of the runs, 3.3 at those of the partitions.
        series = pairs([utc("2026-03-26T01:00:00"), *map(utc, times)])
        found = [
            run_interval({"dag": dag, "dag_run": SimpleNamespace(**run)}, "full") for run in runs
        ]
        assert len(found) in (4, 5)
        assert found == series[-len(found) :]

    def test_both_hours_of_one_name_are_partitions(self) -> None:
        timetable = KindlingPartitionTimetable("0 * * * *", timezone="Europe/Zurich", run_offset=-1)
        hours = [utc("2026-10-24T23:00:00") + timedelta(hours=n) for n in range(5)]
        found = [
            as_stored(timetable)._get_partition_info(run_date=pendulum.instance(at)) for at in hours
        ]
        keys = [key for _, key in found]
        assert len(set(keys)) == 5
        assert [date for date, _ in found] == [at - timedelta(hours=1) for at in hours]
        for start, end in pairs(hours):
            run = only_key(keys[hours.index(end)])
            assert slice_of_run(timetable, **run) == (start, end)

    def test_a_partition_that_the_schedule_does_not_have_is_refused(self) -> None:
        timetable = KindlingPartitionTimetable("0 2 * * *", timezone="Europe/Zurich")
        for date in (None, utc("2026-03-27T04:00:00")):
            with pytest.raises(AirflowFailException) as caught:
                slice_of_run(timetable, partition_key="2026-03-27T05:00:00", partition_date=date)
            assert str(caught.value) == (
                "run 'r' is for partition '2026-03-27T05:00:00', which the schedule '0 2 * * *' "
                "(Europe/Zurich) does not have\n"
                "  Fix: start it for a partition of the schedule; the next one is "
                "'2026-03-28T02:00:00'."
            )

    def test_keys_that_say_the_day_alone_are_understood(self) -> None:
        timetable = CronPartitionTimetable(
            "0 2 * * *", timezone="Europe/Zurich", key_format="%Y-%m-%d"
        )
        run = {"partition_key": "2026-03-28", "partition_date": None}
        assert slice_of_run(timetable, **run) == (
            utc("2026-03-28T01:00:00"),
            utc("2026-03-29T01:00:00"),
        )

    def test_a_run_by_hand_for_a_date_is_about_the_last_one_that_is_over(
        self, tmp_path: Path
    ) -> None:
        dag = built(tmp_path, schedule={"partitions": "@daily"}, start_date="2026-01-01")
        day = (utc("2026-03-03"), utc("2026-03-04"))
        at = utc("2026-03-04T07:00:00")
        assert by_hand(stored(dag).timetable, at) == day
        empty = {"data_interval_start": at, "data_interval_end": at}  # Airflow's own would be
        assert slice_of_run(dag.timetable, **empty) == day


class TestByHand:
    """An interval of no length replaced the whole table."""

    EMPTY = dict.fromkeys(("data_interval_start", "data_interval_end"), utc("2026-03-29T01:00:00"))
    NIGHT = (utc("2026-03-28T01:00:00"), utc("2026-03-29T01:00:00"))

    @pytest.mark.parametrize(
        "timetable",
        [
            KindlingCronTimetable("0 2 * * *", "Europe/Zurich"),
            CronDataIntervalTimetable("0 2 * * *", "Europe/Zurich"),
            core_interval.CronDataIntervalTimetable("0 2 * * *", "Europe/Zurich"),
            AssetOrTimeSchedule(
                timetable=CronDataIntervalTimetable("0 2 * * *", "Europe/Zurich"),
                assets=[Asset("a")],
            ),
            core_timetables.KindlingCronTimetable("0 2 * * *", "Europe/Zurich"),
        ],
        ids=lambda timetable: f"{type(timetable).__module__}.{type(timetable).__name__}",
    )
    def test_it_is_the_slice_that_ends_there(self, timetable: Any) -> None:
        assert slice_of_run(timetable, **self.EMPTY) == self.NIGHT

    def test_run_after_has_a_schedule_with_intervals_on_that_day(self, tmp_path: Path) -> None:
        dag = built(
            tmp_path, schedule="0 2 * * *", timezone="Europe/Zurich", start_date="2026-01-01"
        )
        run = SimpleNamespace(run_id="r", run_after=utc("2026-03-29T01:30:00"))
        assert run_interval({"dag": dag, "dag_run": run}, "run_after") == self.NIGHT

    def test_by_hand_between_the_intervals_of_a_period_it_is_one_of_them(
        self, tmp_path: Path
    ) -> None:
        dag = built(tmp_path, schedule={"every": "6h"}, start_date="2026-01-01")
        assert by_hand(stored(dag).timetable, utc("2026-03-29T13:17:00")) == (
            utc("2026-03-29T06:00:00"),
            utc("2026-03-29T12:00:00"),
        )


class TestScheduler:
    @pytest.mark.parametrize("minutes", [0, 1, 30, 59, 61, 600])
    def test_without_catching_up_the_night_that_has_just_ended_is_run(
        self, minutes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Airflow's own would wait for the next one: the last night is lost."""
        now = utc("2026-03-29T01:00:30") + timedelta(minutes=minutes)
        monkeypatch.setattr(core_interval, "utcnow", lambda: now)
        timetable = as_stored(KindlingCronTimetable("0 2 * * *", "Europe/Zurich"))
        start, end = scheduled(timetable, utc("2026-01-01"), now, catchup=False)[0]
        assert (start, end) == TestByHand.NIGHT

    def test_what_the_clock_has_left_out_twice_in_an_hour_is_not_lost(self) -> None:
        timetable = as_stored(KindlingCronTimetable("15,45 2 * * *", "Europe/Zurich"))
        series = scheduled(timetable, utc("2026-03-28"), utc("2026-03-31"))
        assert all(before[1] == behind[0] for before, behind in pairwise(series))
        assert (utc("2026-03-29T01:15:00"), utc("2026-03-29T01:45:00")) in series

    def test_a_backfill_of_a_period_has_the_intervals_of_the_schedule(self, tmp_path: Path) -> None:
        dag = built(tmp_path, schedule={"every": "6h"}, start_date="2026-01-01")
        found = intervals(dag, "2026-03-01T02:30:00", "2026-03-01T12:00:00")
        assert found == pairs([utc(f"2026-03-01T{hour:02}:00:00") for hour in (6, 12, 18)])

    def test_a_run_of_the_schedule_before_goes_on_from_there(self) -> None:
        timetable = as_stored(KindlingCronTimetable("0 2 * * *", "Europe/Zurich"))
        last = DataInterval(*map(pendulum.instance, (utc("2026-03-27"), utc("2026-03-28"))))
        restriction = TimeRestriction(pendulum.instance(utc("2026-01-01")), None, catchup=True)
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        assert info.data_interval.start == utc("2026-03-27T01:00:00")

    @pytest.mark.parametrize(
        "timetable",
        [
            KindlingCronTimetable("0 2 * * *", "Europe/Zurich"),
            KindlingPartitionTimetable("0 2 * * *", timezone="Europe/Zurich", run_offset=-1),
            KindlingPeriodTimetable(timedelta(hours=6)),
        ],
        ids=lambda timetable: type(timetable).__name__,
    )
    def test_what_is_stored_can_be_stored_again(self, timetable: Any) -> None:
        core = as_stored(timetable)
        again = as_stored(core)
        assert type(core) is type(again)
        assert type(core).__module__ == core_timetables.__name__
        assert core.serialize() == again.serialize()
        assert core.periodic
        assert core.can_be_scheduled


def test_periods_have_the_same_intervals_by_hand_scheduled_and_in_utc() -> None:
    length = timedelta(minutes=45)
    timetable = as_stored(KindlingPeriodTimetable(length))
    first = datetime(2026, 3, 29, tzinfo=timezone.utc)
    series = scheduled(timetable, first, first + timedelta(days=1))
    assert series[0][0] == first
    assert all(before[1] == behind[0] for before, behind in pairwise(series))
    for start, end in series:
        assert end - start == length
        assert by_hand(timetable, end + timedelta(minutes=44)) == (start, end)
