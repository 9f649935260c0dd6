"""Schedules with intervals, what a run without one does, and runs for some pipes only."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import DAG, DeltaDataIntervalTimetable
from airflow.serialization.serialized_objects import DagSerialization
from hypothesis import given, settings
from hypothesis import strategies as st

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.dag_factory.task_group import kindling_task_group
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from kindling_airflow.operators.run_interval import run_interval
from kindling_airflow.operators.start_checks import skip_unless_selected
from kindling_airflow.pipe_graph import PipeGraph
from tests.dag_factory.projects import compiled, document, write_definition, write_project

CHAIN = "raw -> a -> b -> c, raw -> lone"
START = "2026-01-01T00:00:00Z"
EVERY = {"schedule": {"every": "6h"}, "start_date": START}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def built(folder: Path, drawing: str = CHAIN, **keys: Any) -> DAG:
    return build_dag(compiled(folder, drawing, **keys))


def stored(dag: DAG) -> Any:
    """Return the DAG as the scheduler has it."""
    dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


def intervals(dag: DAG, start: str, end: str) -> list[tuple[datetime, datetime]]:
    """Return the intervals that a backfill of these dates has."""
    found = stored(dag).iter_dagrun_infos_between(utc(start), utc(end))
    return [(info.data_interval.start, info.data_interval.end) for info in found]


def context(dag: DAG, task_id: str = "a", **run: Any) -> Any:
    conf, params = run.pop("conf", None), run.pop("params", {})
    task = dag.get_task(task_id) if dag.has_task(task_id) else None
    return {
        "dag": dag,
        "dag_run": SimpleNamespace(run_id="manual", conf=conf, **run),
        "params": params,
        "ti": SimpleNamespace(
            task=task,
            task_id=task_id,
            dag_id="shop",
            run_id="manual",
            xcom_pull=lambda **_: None,
            get_ti_count=lambda **_: 0,
        ),
    }


def problems(folder: Path, **keys: Any) -> tuple[str, ...]:
    (folder / "shop").mkdir(exist_ok=True)
    with pytest.raises(DefinitionError) as caught:
        Definition.from_document(document(**keys), base=folder, source="here")
    return caught.value.problems


def refused(folder: Path, drawing: str = CHAIN, **keys: Any) -> tuple[str, ...]:
    with pytest.raises(DefinitionError) as caught:
        compiled(folder, drawing, **keys)
    return caught.value.problems


class TestIntervals:
    @pytest.mark.parametrize(
        ("schedule", "zone"),
        [
            ("@daily", "Europe/Berlin"),
            ("30 2 * * *", "Europe/Berlin"),  # an hour that does not exist once a year
            ("0 */6 * * *", "America/New_York"),
            ("15 * * * *", "Europe/Berlin"),
            ("@monthly", "Asia/Kolkata"),
            ({"every": "6h"}, "Europe/Berlin"),
            ({"every": "45m"}, "UTC"),
        ],
    )
    def test_intervals_leave_no_gap_and_do_not_overlap_over_both_changes_of_the_clock(
        self, folder: Path, schedule: Any, zone: str
    ) -> None:
        dag = built(folder, schedule=schedule, timezone=zone, start_date=START)
        spring = intervals(dag, "2026-03-05", "2026-04-02")
        autumn = intervals(dag, "2026-10-23", "2026-11-03")
        for series in (spring, autumn):
            assert all(start < end for start, end in series)
            assert all(before[1] == behind[0] for before, behind in pairwise(series))

    def test_days_of_a_time_zone_are_23_24_or_25_hours_long(self, folder: Path) -> None:
        dag = built(folder, schedule="@daily", timezone="Europe/Berlin", start_date="2026-01-01")
        spring = intervals(dag, "2026-03-27T23:00:00", "2026-03-29T22:00:00")
        assert [end - start for start, end in spring] == [
            timedelta(hours=hours) for hours in (24, 23, 24)
        ]

    def test_periods_are_counted_in_utc(self, folder: Path) -> None:
        dag = built(folder, schedule={"every": "1d"}, timezone="Europe/Berlin", start_date=START)
        assert intervals(dag, "2026-03-28", "2026-03-29") == [
            (utc("2026-03-28"), utc("2026-03-29")),
            (utc("2026-03-29"), utc("2026-03-30")),
        ]

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2_000), st.sampled_from(["15m", "6h", "1d"]))
    def test_run_after_gives_the_interval_that_the_schedule_ran_last(
        self, minutes: int, every: str
    ) -> None:
        dag = DAG("x", schedule=None)
        length = {"15m": timedelta(minutes=15), "6h": timedelta(hours=6), "1d": timedelta(days=1)}
        dag.timetable = DeltaDataIntervalTimetable(length[every])
        moment = utc("2026-01-01") + timedelta(minutes=minutes)
        found = run_interval(context(dag, run_after=moment), "run_after")
        assert found is not None
        start, end = found
        assert end <= moment < end + length[every]
        assert end - start == length[every]
        assert (start - utc("1970-01-01")) % length[every] == timedelta(0)

    def test_a_run_of_a_partition_is_about_the_time_up_to_the_next_one(self, folder: Path) -> None:
        dag = built(
            folder, schedule={"partitions": "@daily"}, timezone="Europe/Berlin", start_date=START
        )
        day = (utc("2026-03-28T23:00:00"), utc("2026-03-29T22:00:00"))
        known = {"partition_key": "2026-03-29T00:00:00", "partition_date": day[0]}
        only_key = {"partition_key": "2026-03-29T00:00:00", "partition_date": None}
        of_airflow_3_2 = {"partition_key": "2026-03-28T23:00:00"}  # in UTC, and without a date
        for run in (known, only_key, of_airflow_3_2):
            assert run_interval(context(dag, **run), "fail") == day

    def test_a_partition_with_a_key_of_its_own_has_no_interval(self, folder: Path) -> None:
        dag = built(folder, schedule={"partitions": "@daily"}, start_date=START)
        run = {"partition_key": "by hand", "partition_date": None}
        assert run_interval(context(dag, **run), "full") is None

    def test_a_partition_is_run_when_it_is_over(self, folder: Path) -> None:
        dag = built(folder, schedule={"partitions": "@daily"}, start_date=START)
        assert stored(dag).timetable._get_partition_date(
            run_date=stored(dag).timetable._align_to_next(utc("2026-01-05"))
        ) == utc("2026-01-04")


class TestAssets:
    def test_the_word_assets_stands_for_what_the_plan_reads_and_does_not_write(
        self, folder: Path
    ) -> None:
        drawing = "[raw.orders] -> a -> b, [raw.rates] -> b"
        timetable: Any = built(folder, drawing, schedule="assets").timetable
        names = {asset.name for asset in timetable.asset_condition.objects}
        assert names == {"warehouse/raw.orders", "warehouse/raw.rates"}

    def test_there_must_be_such_assets(self, folder: Path) -> None:
        assert refused(folder, schedule="assets") == (
            (
                "here: schedule: 'assets' means the plan's external inputs, and the plan "
                "has none\n  Fix: use a cron expression, or list assets: {all: [...]}."
            ),
        )

    def test_the_word_needs_assets(self, folder: Path) -> None:
        text = "here: schedule: 'assets' conflicts with assets: false\n"
        assert refused(folder, schedule="assets", assets=False) == (
            text + "  Fix: remove one of the two.",
        )


class TestMissing:
    def test_a_run_with_an_interval_of_its_own_has_that(self, folder: Path) -> None:
        start, end = utc("2026-01-01"), utc("2026-01-02")
        run = {"data_interval_start": start, "data_interval_end": end}
        for mode in ("full", "fail", "run_after"):
            assert run_interval(context(built(folder), **run), mode) == (start, end)

    def test_full_goes_on_without(self, folder: Path) -> None:
        moment = utc("2026-01-01")
        empty = {"data_interval_start": moment, "data_interval_end": moment}
        assert run_interval(context(built(folder), **empty), "full") is None

    def test_fail_does_not_try_again(self, folder: Path) -> None:
        with pytest.raises(AirflowFailException) as caught:
            run_interval(context(built(folder)), "fail")
        assert str(caught.value) == (
            "run 'manual' has no data interval, and on_missing_interval is 'fail'\n"
            "  Fix: start it for a date, as 'airflow backfill create' does; or set "
            "on_missing_interval: full, to process all data."
        )

    def test_run_after_is_the_last_interval_that_is_over(self, folder: Path) -> None:
        dag = built(folder, schedule="@daily", timezone="Europe/Berlin", start_date="2026-01-01")
        for moment, day in (("2026-01-09T22:59:00", 8), ("2026-01-09T23:00:00", 9)):
            assert run_interval(context(dag, run_after=utc(moment)), "run_after") == (
                utc(f"2026-01-{day - 1:02}T23:00:00"),
                utc(f"2026-01-{day:02}T23:00:00"),
            )

    def test_run_after_needs_a_schedule_with_intervals(self, folder: Path) -> None:
        assert refused(folder, on_missing_interval="run_after") == (
            (
                "here: on_missing_interval: 'run_after' takes an interval of the schedule, and "
                "this schedule has none\n"
                "  Fix: use a cron expression, 'every' or 'partitions'; or 'full' or 'fail'."
            ),
        )
        with pytest.raises(AirflowFailException, match="the DAG has no schedule with intervals"):
            run_interval(context(built(folder), run_after=utc("2026-01-01")), "run_after")

    def test_each_task_knows_what_its_definition_says(self, folder: Path) -> None:
        task: Any = built(folder, on_missing_interval="fail").get_task("a")
        assert task.on_missing_interval == "fail"


class TestWords:
    def test_a_period_begins_where_its_intervals_do(self, folder: Path) -> None:
        found = problems(
            folder,
            schedule={"every": "1d"},
            start_date="2026-01-01",
            timezone="Europe/Berlin",
        )
        assert found == (
            (
                "here: start_date: '2026-01-01' is not the start of an interval of 1d; they are "
                "counted from 1970-01-01T00:00:00Z\n"
                "  Fix: use '2025-12-31T00:00:00Z'; or a cron expression, which follows the days "
                "of "
                "a time zone."
            ),
        )

    @pytest.mark.parametrize(
        ("schedule", "text"),
        [
            ({"every": "400d"}, "every: '400d' is not a schedule: longer than a year\n"),
            ({"every": "999999h"}, "every: '999999h' is not a schedule: longer than a year\n"),
            ({"partitions": "@dayly"}, "partitions: '@dayly' is not a schedule: unknown preset\n"),
        ],
    )
    def test_what_is_no_schedule(self, folder: Path, schedule: Any, text: str) -> None:
        (found,) = problems(folder, schedule=schedule, start_date=START)
        assert found.startswith(f"here: schedule.{text}")

    def test_a_period_is_a_number_and_a_unit(self, folder: Path) -> None:
        assert problems(folder, schedule={"every": "1w"}, start_date=START) == (
            (
                "here: schedule.every: must be a number of minutes, hours or days, such as 15m, 6h "
                "or 1d, not '1w'"
            ),
        )

    @pytest.mark.parametrize("schedule", [{"every": "6h"}, {"partitions": "@daily"}])
    def test_intervals_need_a_first_one(self, folder: Path, schedule: Any) -> None:
        (found,) = problems(folder, schedule=schedule)
        assert "a schedule needs a start_date" in found

    def test_an_unknown_time_zone_is_one_problem(self, folder: Path) -> None:
        (found,) = problems(folder, timezone="Europe/Atlantis", **EVERY)
        assert found.startswith("here: timezone: unknown time zone")


class TestChoice:
    def before(self, dag: DAG, task_id: str, **run: Any) -> str:
        """Return what becomes of a task before it begins: nothing, or why not."""
        hook: Any = dag.get_task(task_id)._pre_execute_hook  # type: ignore[union-attr]
        try:
            hook(context(dag, task_id, **run))
        except (AirflowSkipException, AirflowFailException) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def test_every_run_has_a_form_for_it(self, folder: Path) -> None:
        param = stored(built(folder)).params.get_param("select")
        assert (param.value, param.schema["type"]) == (None, ["null", "string"])

    def test_without_a_choice_all_pipes_run(self, folder: Path) -> None:
        dag = built(folder)
        for run in ({}, {"conf": {"select": ""}}, {"params": {"select": None}}):
            assert [self.before(dag, task_id, **run) for task_id in dag.task_ids] == [""] * 5

    @pytest.mark.parametrize("place", ["conf", "params"])
    def test_what_is_not_chosen_is_skipped(self, folder: Path, place: str) -> None:
        dag = built(folder)
        found = {t: self.before(dag, t, **{place: {"select": "b+"}}) for t in dag.task_ids}
        assert [task_id for task_id, text in found.items() if not text] == ["b", "c"]
        assert found["a"] == (
            "AirflowSkipException: Pipe 'a' is not selected in this run (select: 'b+')."
        )

    def test_a_wrong_choice_fails_the_run(self, folder: Path) -> None:
        for select, said in (("lonee", "Did you mean 'lone'?"), (5, "must be a string")):
            dag = built(folder)
            texts = [self.before(dag, task_id, conf={"select": select}) for task_id in dag.task_ids]
            (found,) = [text for text in texts if text.startswith("AirflowFailException: ")]
            assert "'select' of this run selects no pipes: " in found
            assert said in found
            assert sum(text.startswith("AirflowSkipException: ") for text in texts) == 4

    def test_a_choice_of_nothing_is_not_one_of_everything(self, folder: Path) -> None:
        assert self.before(built(folder), "a", conf={"select": []}) == (
            "AirflowFailException: 'select' of this run is an empty list, which selects no "
            "pipes\n"
            "  Fix: name some pipes, or omit 'select' to run all of them."
        )
        check = skip_unless_selected(lambda: PipeGraph({}), "pick")
        run = SimpleNamespace(conf={"pick": []})
        of_a_group: Any = {"dag": SimpleNamespace(params={"pick": []}), "dag_run": run}
        check(of_a_group)  # what its form sends where nothing was filled in

    def test_what_is_not_chosen_is_no_news(self, folder: Path) -> None:
        dag = built(folder, on_skipped_callback="os:getcwd")
        self.before(dag, "a", conf={"select": "b"})
        task: Any = dag.get_task("a")
        assert task.on_skipped_callback == ()

    def test_fail_fast_does_not_fail_what_is_not_chosen(self, folder: Path) -> None:
        dag = built(folder, on_error="fail_fast")
        assert self.before(dag, "a", conf={"select": "b"}).startswith("AirflowSkipException")

    def test_a_worker_with_one_task_knows_all_pipes(self, folder: Path) -> None:
        dag = build_dag(compiled(folder, CHAIN), "c")
        assert dag.task_ids == ["c"]
        assert self.before(dag, "c", conf={"select": "a+"}) == ""
        assert self.before(dag, "c", conf={"select": "a+1"}).startswith("AirflowSkipException")

    def test_what_a_definition_wants_called_before_a_pipe_is_called_for_chosen_ones(
        self, folder: Path
    ) -> None:
        called: list[str] = []

        def own(context: Any) -> None:
            called.append(context["ti"].task_id)

        dag = built(folder, arguments={"pre_execute": own})
        for task_id in dag.task_ids:
            self.before(dag, task_id, conf={"select": "b"})
        assert called == ["b"]

    def test_a_group_has_a_choice_of_its_own(self, folder: Path) -> None:
        write_project(folder / "shop", CHAIN)
        path = write_definition(folder / "shop.kindling.yaml", "dag_id: shop\n")
        with DAG("nightly", schedule=None) as dag:
            kindling_task_group(path, group_id="orders", base=folder)
        task_ids = [f"orders.{name}" for name in ("raw", "a", "b", "c", "lone")]
        for conf in ({"select": "not for us"}, {"select.other": "b"}):
            assert [self.before(dag, task_id, conf=conf) for task_id in task_ids] == [""] * 5
        found = {t: self.before(dag, t, conf={"select.orders": "b+"}) for t in task_ids}
        assert [name for name, text in found.items() if not text] == ["orders.b", "orders.c"]

    def test_the_name_is_taken(self, folder: Path) -> None:
        assert problems(folder, params={"select": "x"}) == (
            ("here: params.select: is reserved for selecting pipes\n  Fix: rename the parameter."),
        )


class TestOtherPlans:
    def test_a_task_says_that_those_before_it_were_of_another_plan(self, folder: Path) -> None:
        dag = built(folder)
        task: Any = dag.get_task("b")
        said = context(dag, "b")
        asked: list[Any] = []

        def pull(**what: Any) -> Any:
            asked.append(what)
            return {"plan_digest": "sha256:old"}

        said["ti"].xcom_pull = pull
        task._pre_execute_hook(said)
        assert asked == [{"task_ids": "a", "key": "kindling_report"}]
        assert task.plan_drift == {"a": "sha256:old"}

    @pytest.mark.parametrize("report", [None, {}, {"plan_digest": ""}])
    def test_nothing_is_said_where_nothing_is_known(self, folder: Path, report: Any) -> None:
        dag = built(folder)
        said = context(dag, "b")
        said["ti"].xcom_pull = lambda **_: report
        task: Any = dag.get_task("b")
        task._pre_execute_hook(said)
        assert task.plan_drift == {}

    def test_the_same_plan_is_no_news_and_a_deaf_airflow_stops_nobody(self, folder: Path) -> None:
        dag = built(folder)
        task: Any = dag.get_task("b")
        said = context(dag, "b")
        said["ti"].xcom_pull = lambda **_: {"plan_digest": task.plan_digest}
        task._pre_execute_hook(said)

        def deaf(**_: Any) -> None:
            raise RuntimeError("no answer")

        said["ti"].xcom_pull = deaf
        task._pre_execute_hook(said)
        assert task.plan_drift == {}
