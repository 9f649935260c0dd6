"""``backfill-plan``: what a backfill will do, told before it is done."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.backfill import backfill_database
from kindling_airflow.cli.backfill.backfill_plan import (
    BackfillPlan,
    Request,
    Slot,
    StoredDag,
    Write,
    plan_backfill,
)
from kindling_airflow.cli.main import main
from tests.dag_factory.projects import write_definition, write_project

ROOT = Path(__file__).resolve().parents[2]
DAY = timedelta(days=1)
FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
SLICED = Write("a", "orders", "overwrite_interval", "day")
WHOLE = Write("b", "sales", "overwrite")
PAUSED = (
    "the DAG is paused: its runs will be created and wait until it is unpaused ('airflow dags "
    "unpause shop')"
)
AT_ONCE = (
    "10 concurrent runs: a backfill ignores max_active_runs of the definition (1); set "
    "--max-active-runs"
)


def request(days: int = 3, **more: Any) -> Request:
    return Request("shop", FIRST, FIRST + (days - 1) * DAY, **more)


def slots(*states: str, had_select: str = "") -> list[Slot]:
    return [
        Slot(f"{FIRST + n * DAY:%F}", FIRST + n * DAY, FIRST + (n + 1) * DAY, state, had_select)
        for n, state in enumerate(states)
    ]


def planned(said: Request, runs: list[Slot], *writes: Write, **more: Any) -> BackfillPlan:
    pipes = [write.pipe_id for write in writes]
    return plan_backfill(said, runs, pipes, 1, writes, **{"now": NOW, **more})


def test_it_says_what_runs_and_what_is_written() -> None:
    found = planned(request(at_once=1), slots("", "success", ""), SLICED)
    assert found.text() == (
        "Backfill of 'shop': 2 runs, 1 pipe in each (1 skipped), 2 task runs with a driver\n"
        "\n"
        "  2026-01-01 to 2026-01-02\n"
        "  2026-01-03 to 2026-01-04\n"
        "  1 run not re-run (success)\n"
        "\n"
        "  a  orders: replaces the rows whose day is in the run's interval\n"
        "\n"
        "airflow backfill create --dag-id shop --from-date 2026-01-01 --to-date 2026-01-03 "
        "--max-active-runs 1"
    )


@pytest.mark.parametrize(
    ("reprocess", "days"),
    [("none", [1]), ("failed", [1, 2]), ("completed", [1, 2, 3])],
)
def test_which_runs_there_will_be(reprocess: str, days: list[int]) -> None:
    runs = slots("", "failed", "success", "running")
    found = planned(request(4, reprocess=reprocess), runs, SLICED)
    assert [slot.start.day for slot in found.runs] == days
    assert len(found.left) == 4 - len(days)
    assert ("--reprocess-behavior" in found.command) == (reprocess != "none")


def test_backwards_begins_with_the_latest() -> None:
    found = planned(request(backwards=True), slots("", "", ""), SLICED)
    assert [slot.start.day for slot in found.runs] == [3, 2, 1]
    assert found.command.endswith("--run-backwards")


def test_many_runs_are_shown_in_short() -> None:
    text = planned(request(31, at_once=1), slots(*[""] * 31), SLICED).text()
    assert "31 runs" in text
    assert "  ... and 20 more\n  2026-01-31 to 2026-02-01\n" in text


def test_a_choice_goes_into_the_command() -> None:
    found = planned(request(select="b+ 'c'"), slots(""), WHOLE)
    assert found.command.endswith(""" --dag-run-conf '{"select": "b+ '"'"'c'"'"'"}'""")


def test_a_choice_that_airflow_keeps_is_taken_away() -> None:
    found = planned(request(reprocess="completed"), slots("success", had_select="a"), SLICED)
    assert "runs of this range had a selection of pipes ('a')" in found.notes[-1]
    assert found.command.endswith("""--dag-run-conf '{"select": ""}'""")


def ran(n: int, **conf: Any) -> Slot:
    day = FIRST + n * DAY
    return Slot(f"{day:%F}", day, day + DAY, "success", str(conf.get("select", "")), conf)


def as_airflow_reads(command: str) -> tuple[str, str, Any]:
    """Return dates and conf of a command, by the parser of Airflow's own command line."""
    from airflow.cli.cli_parser import get_parser

    called = get_parser().parse_args(shlex.split(command)[1:])
    conf = None if called.dag_run_conf is None else json.loads(called.dag_run_conf)
    return f"{called.from_date:%F}", f"{called.to_date:%F}", conf


class TestParameters:
    """A backfill's conf takes the place of all that a run was started with."""

    def test_runs_that_are_run_again_keep_what_they_were_started_with(self) -> None:
        runs = [ran(0, region="eu", depth={"days": 2}), ran(1, depth={"days": 2}, region="eu")]
        found = planned(request(2, select="b+", reprocess="completed", at_once=1), runs, SLICED)
        assert [as_airflow_reads(command) for command in found.commands] == [
            ("2026-01-01", "2026-01-02", {"region": "eu", "depth": {"days": 2}, "select": "b+"})
        ]
        assert found.notes == (
            (
                "runs of this range were started with 'depth', 'region', which the conf of a "
                "backfill replaces; the commands below include it"
            ),
        )

    def test_without_a_conf_airflow_keeps_it_by_itself(self) -> None:
        runs = [ran(0, region="eu")]
        found = planned(request(1, reprocess="completed", at_once=1), runs, SLICED)
        assert as_airflow_reads(found.command) == ("2026-01-01", "2026-01-01", None)
        assert found.notes == ()

    def test_new_runs_of_partitions_would_have_none(self) -> None:
        runs = [ran(0, region="eu")]
        found = planned(
            request(1, reprocess="completed", at_once=1), runs, SLICED, is_new_again=True
        )
        assert as_airflow_reads(found.command)[2] == {"region": "eu", "select": ""}

    @pytest.mark.parametrize("backwards", [False, True])
    def test_runs_with_different_ones_take_a_command_each(self, backwards: bool) -> None:
        runs = [ran(0, region="eu"), ran(1, region="eu"), *slots("", "", "")[2:], ran(3)]
        said = request(4, select="b", reprocess="completed", at_once=1, backwards=backwards)
        found = planned(said, runs, SLICED)
        expected = [
            ("2026-01-01", "2026-01-02", {"region": "eu", "select": "b"}),
            ("2026-01-03", "2026-01-04", {"select": "b"}),
        ]
        read = [as_airflow_reads(command) for command in found.commands]
        assert read == (expected[::-1] if backwards else expected)
        assert found.text().endswith("\n".join(found.commands))
        assert found.to_json()["commands"] == list(found.commands)
        assert found.notes[-1] == (
            "runs of this range have 2 different confs in turn, and a backfill has one: run each "
            "command after the backfill of the previous one has ended"
        )

    def test_what_is_given_wins(self) -> None:
        runs = [ran(0, region="eu", select="a", depth=1)]
        said = request(1, reprocess="completed", conf={"region": "us"}, at_once=1)
        found = planned(said, runs, SLICED)
        assert as_airflow_reads(found.command)[2] == {"region": "us", "depth": 1, "select": ""}

    def test_dates_of_partitions_are_those_that_airflow_compares(self) -> None:
        first, second = ran(0, region="eu"), replace(ran(1), date=FIRST + DAY * 1.5)
        said = request(2, reprocess="completed", select="b", at_once=1)
        found = planned(said, [replace(first, date=FIRST + DAY / 2), second], SLICED)
        assert "--to-date 2026-01-01T12:00:00+00:00" in found.commands[0]
        assert "--from-date 2026-01-02T12:00:00+00:00" in found.commands[1]


@pytest.mark.parametrize(
    ("said", "dag", "text"),
    [
        (Request("shop", FIRST + DAY, FIRST), StoredDag(), "the first date is after the last one"),
        (Request("shop", NOW, NOW + DAY), StoredDag(), "both dates are in the future"),
        (
            request(),
            StoredDag(is_known=False),
            "the DAG processor has not stored the DAG yet",
        ),
        (
            request(),
            StoredDag(backfill=7),
            "backfill 7 of this DAG is still running, and only one can run",
        ),
        (
            request(backwards=True, reprocess="failed"),
            StoredDag(waits_for_past=True),
            "tasks with depends_on_past cannot run backwards",
        ),
        (
            request(),
            StoredDag(waits_for_past=True),
            "tasks with depends_on_past need --reprocess-behavior failed or completed",
        ),
    ],
)
def test_what_airflow_refuses(said: Request, dag: StoredDag, text: str) -> None:
    found = planned(said, slots("", ""), SLICED, dag=dag)
    assert found.refusals == (text,)
    assert f"Airflow would reject this:\n  - {text}\n" in found.text()


def test_a_range_without_a_whole_interval_is_refused() -> None:
    assert planned(request(), [], SLICED).refusals == (
        "no completed interval of the schedule begins between these dates",
    )


@pytest.mark.parametrize(
    ("said", "more", "text"),
    [
        (
            request(at_once=1),
            {"dag": StoredDag(is_paused=True)},
            PAUSED,
        ),
        (
            request(at_once=1),
            {"start_date": FIRST + DAY},
            "a backfill ignores start_date: runs before it are created as well",
        ),
        (
            request(),
            {},
            AT_ONCE,
        ),
    ],
)
def test_what_airflow_ignores(said: Request, more: dict[str, Any], text: str) -> None:
    assert planned(said, slots("", ""), SLICED, **more).notes == (text,)


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        (request(at_once=1), "the latest interval"),
        (request(at_once=1, backwards=True), "the earliest interval"),
        (request(at_once=2), "the run that publishes last"),
    ],
)
def test_tables_that_each_run_replaces_are_named(said: Request, stays: str) -> None:
    found = planned(said, slots("", ""), SLICED, WHOLE, own_limit=2)
    assert found.notes == (f"each run replaces all of 'sales': the result of {stays} remains",)


def test_merges_of_runs_at_once_are_named() -> None:
    merged = Write("c", "stock", "merge")
    text = (
        "rows with the same key in several runs: 'stock' keeps those of the run that publishes last"
    )
    assert planned(request(at_once=2), slots("", ""), merged, own_limit=2).notes == (text,)
    assert planned(request(at_once=1), slots("", ""), merged).notes == ()


class TestCommand:
    @pytest.fixture
    def definition(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        write_project(tmp_path / "shop", "a -> b, lone")
        monkeypatch.setattr(
            backfill_database, "stored_dag", lambda *_: (StoredDag(is_paused=True), {})
        )
        return write_definition(
            tmp_path / "shop.kindling.yaml",
            'dag_id: shop\nschedule: "@daily"\ntimezone: Europe/Berlin\nstart_date: 2026-01-01\n',
        )

    def call(self, definition: Path, *more: str) -> int:
        days = ("--from-date", "2026-01-04T23:00", "--to-date", "2026-01-06")
        return main(["backfill-plan", str(definition), *days, "--json", *more])

    def test_intervals_are_those_of_the_schedule(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.call(definition, "--select", "b", "--select", "lone") == 0
        found = json.loads(capsys.readouterr().out)
        assert [run["interval_start"] for run in found["runs"]] == [
            "2026-01-04T23:00:00+00:00",
            "2026-01-05T23:00:00+00:00",
        ]
        assert (found["pipes"], found["pipes_skipped"], found["task_runs"]) == (["b", "lone"], 1, 4)
        assert "the DAG is paused" in found["notes"][0]

    def test_the_page_shows_what_the_command_prints(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        days = ROOT / "docs/examples/backfill/dags/days.kindling.yaml"
        month = ("--from-date", "2013-01-01", "--to-date", "2013-01-31", "--max-active-runs", "3")
        assert main(["backfill-plan", str(days), *month]) == 0
        page = (ROOT / "docs/how-to/backfill.md").read_text("utf-8")
        assert f"```text\n{capsys.readouterr().out}```\n" in page

    def test_a_wrong_choice_and_a_wrong_date_are_errors(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.call(definition, "--select", "lonee") == 1
        assert "Did you mean 'lone'?" in capsys.readouterr().out
        assert self.call(definition, "--to-date", "soon") == 2
        assert "'soon' is not a date" in capsys.readouterr().err
        assert self.call(definition, "--max-active-runs", "0") == 2
        assert self.call(definition.parent / "shop") == 2

    def test_what_is_refused_ends_with_status_1(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.call(definition, "--to-date", "2026-01-01") == 1
        assert "the first date is after the last one" in capsys.readouterr().out

    def test_a_dag_without_a_schedule_in_time_is_not_backfilled(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_definition(definition, "dag_id: shop\n")
        assert self.call(definition) == 1
        assert "Airflow cannot backfill a DAG without a schedule in time" in capsys.readouterr().out

    def test_partitions_have_intervals_as_well(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = 'dag_id: shop\nschedule: {partitions: "@daily"}\nstart_date: 2026-01-01\n'
        write_definition(definition, text)
        assert self.call(definition) == 0
        found = json.loads(capsys.readouterr().out)["runs"]
        first, second = (datetime.fromisoformat(run["interval_start"]) for run in found)
        assert second - first == DAY
        assert found[1]["interval_start"] == found[0]["interval_end"]
        # Dates of a backfill are those of the partitions; in Airflow 3.2, those of their runs.
        assert first.day in (4, 5)
        assert found[0]["key"].startswith(f"{first:%F}")

    def test_parameters_of_existing_runs_and_of_the_call_go_into_the_command(
        self,
        definition: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        runs = {
            f"2026-01-0{day}T23:00:00+00:00": ("failed", {"region": "eu", "select": "a"})
            for day in (4, 5)
        }
        monkeypatch.setattr(backfill_database, "stored_dag", lambda *_: (StoredDag(), runs))
        again = ("--reprocess-behavior", "failed")
        assert self.call(definition, *again, "--dag-run-conf", '{"n": 1, "select": "b"}') == 0
        found = json.loads(capsys.readouterr().out)
        assert as_airflow_reads(found["command"])[2] == {"region": "eu", "n": 1, "select": "b"}
        assert found["pipes"] == ["b"]

    @pytest.mark.parametrize(
        ("more", "text"),
        [
            (("--dag-run-conf", "{"), "--dag-run-conf is not JSON"),
            (("--dag-run-conf", "[1]"), "--dag-run-conf must be a JSON object"),
            (("--dag-run-conf", '{"select": ["a"]}'), "must be text, not ['a']"),
            (("--select", "a", "--dag-run-conf", '{"select": "b"}'), "pipes are selected twice"),
        ],
    )
    def test_a_wrong_conf_is_an_error(
        self,
        definition: Path,
        more: tuple[str, ...],
        text: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.call(definition, *more) == 2
        assert text in capsys.readouterr().err

    def test_a_partition_over_a_change_of_the_clock_is_there_once(
        self, definition: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = 'dag_id: shop\nschedule: {partitions: "0 2 * * *"}\nstart_date: 2026-01-01\n'
        write_definition(definition, f"{text}timezone: Europe/Zurich\n")
        days = ("--from-date", "2026-03-27", "--to-date", "2026-03-31", "--json")
        assert main(["backfill-plan", str(definition), *days]) == 0
        found = json.loads(capsys.readouterr().out)["runs"]
        starts = [run["interval_start"] for run in found]
        assert starts[-4:-1] == [f"2026-03-{day}T01:00:00+00:00" for day in (27, 28, 29)] or (
            starts[:3] == [f"2026-03-{day}T01:00:00+00:00" for day in (27, 28, 29)]
        )
        assert starts[1:] == [run["interval_end"] for run in found][:-1]

    def test_a_silent_database_is_a_note(
        self,
        definition: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def silent(*_: Any) -> Any:
            raise RuntimeError("no such table: dag")

        monkeypatch.setattr(backfill_database, "stored_dag", silent)
        assert self.call(definition) == 0
        assert json.loads(capsys.readouterr().out)["notes"][-1] == (
            "the DAG and its runs could not be read from Airflow's database: no such table: dag"
        )
