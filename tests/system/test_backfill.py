"""Airflow's own backfill on a compiled DAG with intervals, on a real scheduler.

What the pipes do takes no Spark: each leaves a line with its run and its interval, and fails where
a file says so. Everything else is the package's and Airflow's own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.local_airflow import LocalAirflow
from tests.dag_factory.projects import write_definition, write_project
from tests.system.backfills import Backfills

pytestmark = pytest.mark.system

FACTORY = """
from pathlib import Path

from airflow.providers.common.compat.sdk import AirflowFailException
from kindling_airflow.dag_factory import load_dags
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.operators.run_interval import run_interval

def written(moment):
    return f"{{moment:%Y-%m-%dT%H}}" if moment.hour else f"{{moment:%Y-%m-%d}}"

def work(self, context):
    interval = run_interval(context, self.on_missing_interval)
    days = "all all" if interval is None else " ".join(map(written, interval))
    ti = context["ti"]
    with open({notes!r}, "a") as notes:
        notes.write(f"{{ti.dag_id}} {{self.pipe_id}} {{days}}\\n")
    if Path({trials!r}, f"{{self.pipe_id}}-{{days.split()[0]}}").exists():
        raise AirflowFailException("on purpose")
    ti.xcom_push("kindling_report", {{"plan_digest": self.plan_digest}})

KindlingPipeOperator.execute = work
globals().update(load_dags(__file__))
"""
DAILY = """dag_id: daily
schedule: "@daily"
start_date: 2026-01-01
on_missing_interval: run_after
width: 3
retries: 5
retry_delay_seconds: 0
"""  # for tasks that were lost before they began; what has begun leaves a line, and is counted
ONE = "project: one\non_missing_interval: fail\nretries: 5\nretry_delay_seconds: 0\n"
SIXES = f"dag_id: sixes\nschedule: {{every: 6h}}\nstart_date: 2026-01-01\n{ONE}"
PARTS = f"dag_id: parts\nschedule: {{partitions: '@daily'}}\nstart_date: 2026-01-01\n{ONE}"
STRICT = "dag_id: strict\non_missing_interval: fail\nretries: 2\n"


class Line(NamedTuple):
    """What a pipe has left."""

    dag_id: str
    pipe_id: str
    start: str
    end: str


class Trial(Backfills):
    """One Airflow, and what its pipes have left."""

    def __init__(self, airflow: LocalAirflow, folder: Path) -> None:
        super().__init__(airflow, "daily")
        self.notes, self.trials = folder / "notes.txt", folder / "trials"
        self.seen: dict[str, list[Line]] = {}
        self.states: dict[str, dict[str, dict[str, str]]] = {}
        self._read = 0

    def backfill(self, step: str, first: str, last: str, *options: str) -> None:
        """Run a backfill to its end and keep what its pipes left, and the states of its tasks."""
        self.close()
        self.create(first, last, *options)
        self.wait()
        self.keep(step)

    def clear(self, day: str, task_id: str) -> None:
        """Clear a task of the run of a day."""
        run_id = self.run_of(day)["dag_run_id"]
        said = {"dag_run_id": run_id, "task_ids": [task_id], "only_failed": False}
        more = {"dry_run": False, "reset_dag_runs": True}
        self.api._call("POST", "/dags/daily/clearTaskInstances", {**said, **more})

    def keep(self, step: str) -> None:
        lines = [Line(*text.split()) for text in self.notes.read_text().splitlines()]
        self.seen[step] = [
            line
            for line in lines[self._read :]
            if line.dag_id == "daily" and (line.start < "2026-02" or line.start == "all")
        ]
        self._read = len(lines)
        self.states[step] = {
            run["data_interval_start"][:10]: self.tasks("daily", run["dag_run_id"])
            for run in self.runs()
        }

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        return {i["task_id"]: i["state"] for i in self.api.task_instances(dag_id, run_id)}


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """One Airflow in which the backfills of this module have run, one after the other."""
    folder = tmp_path_factory.mktemp("backfill")
    dags, trials = folder / "dags", folder / "trials"
    trials.mkdir()
    notes = folder / "notes.txt"
    notes.touch()
    write_project(dags / "shop", "a -> b, lone")
    write_definition(dags / "daily.kindling.yaml", DAILY)
    write_definition(dags / "strict.kindling.yaml", STRICT)
    write_project(dags / "one", "only", module="pipes_one")
    write_definition(dags / "sixes.kindling.yaml", SIXES)
    write_definition(dags / "parts.kindling.yaml", PARTS)
    (dags / "kindling_dags.py").write_text(FACTORY.format(notes=str(notes), trials=str(trials)))
    with LocalAirflow(folder / "home", dags_folder=dags, warehouse=folder / "lake") as airflow:
        found = Trial(airflow, folder)
        for dag_id in ("daily", "strict", "sixes", "parts"):
            airflow.api.wait_for_dag(dag_id)
            airflow.api.unpause(dag_id)
        _run_all(found)
        yield found


def _run_all(trial: Trial) -> None:
    others = [Backfills(trial.airflow, dag_id) for dag_id in ("sixes", "parts")]
    for other, last in zip(others, ("2026-01-05T06:00:00", "2026-01-06"), strict=True):
        other.create("2026-01-05", last)
    dry = trial.create("2026-01-05", "2026-01-07", "--dry-run")
    assert "2026-01-06" in dry
    assert not trial.runs()
    (trial.trials / "b-2026-01-06").touch()
    trial.backfill("forwards", "2026-01-05", "2026-01-07", "--max-active-runs", "3")
    (trial.trials / "b-2026-01-06").unlink()
    trial.backfill("failed", "2026-01-05", "2026-01-07", "--reprocess-behavior", "failed")
    chosen = json.dumps({"select": "b"})
    backwards = ("--run-backwards", "--reprocess-behavior", "completed", "--max-active-runs", "1")
    trial.backfill("chosen", "2026-01-05", "2026-01-06", *backwards, "--dag-run-conf", chosen)
    trial.clear("2026-01-06", "b")
    trial.wait()
    trial.keep("cleared")
    for other in others:
        other.wait()


def test_three_runs_at_once_have_an_interval_each(trial: Trial) -> None:
    found = sorted(trial.seen["forwards"])
    days = {"2026-01-05": "2026-01-06", "2026-01-06": "2026-01-07", "2026-01-07": "2026-01-08"}
    assert found == [
        Line("daily", pipe_id, start, end)
        for pipe_id in ("a", "b", "lone")
        for start, end in days.items()
    ]
    assert trial.states["forwards"]["2026-01-06"] == {
        "a": "success",
        "b": "failed",
        "lone": "success",
    }


def test_what_failed_runs_again_and_nothing_else(trial: Trial) -> None:
    assert sorted(trial.seen["failed"]) == [
        Line("daily", pipe_id, "2026-01-06", "2026-01-07") for pipe_id in ("a", "b", "lone")
    ]
    assert set(trial.states["failed"]["2026-01-06"].values()) == {"success"}


def test_a_backfill_of_some_pipes_goes_backwards_and_leaves_the_others(trial: Trial) -> None:
    assert trial.seen["chosen"] == [
        Line("daily", "b", "2026-01-06", "2026-01-07"),
        Line("daily", "b", "2026-01-05", "2026-01-06"),
    ]
    for day in ("2026-01-05", "2026-01-06"):
        states = trial.states["chosen"][day]
        assert states == {"a": "skipped", "b": "success", "lone": "skipped"}


def test_a_task_that_succeeded_and_is_cleared_runs_again(trial: Trial) -> None:
    assert trial.seen["cleared"] == [Line("daily", "b", "2026-01-06", "2026-01-07")]


def test_a_run_by_hand_without_a_date_takes_the_last_interval(trial: Trial) -> None:
    run_id = trial.api.trigger("daily", "by_hand")
    assert trial.api.wait_for_run("daily", run_id) == "success"
    lines = [Line(*text.split()) for text in trial.notes.read_text().splitlines()]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    assert {line.end for line in lines[-3:]} == {today}


def test_a_run_without_an_interval_fails_at_once_where_it_is_to(trial: Trial) -> None:
    run_id = trial.api.trigger("strict", "by_hand")
    assert trial.api.wait_for_run("strict", run_id) == "failed"
    states = {
        i["task_id"]: (i["state"], i["try_number"])
        for i in trial.api.task_instances("strict", run_id)
    }
    assert states["a"] == states["lone"] == ("failed", 1)
    assert "has no data interval" in trial.api.log("strict", run_id, "a")


def test_a_choice_that_is_none_fails_the_run_once(trial: Trial) -> None:
    said = ("--run-id", "wrong", "--conf", '{"select": "lonee"}')
    with trial.holding_still():
        done = trial.airflow.run("dags", "trigger", "daily", *said)
    assert done.returncode == 0, done.stdout + done.stderr
    assert trial.api.wait_for_run("daily", "wrong") == "failed"
    assert trial.tasks("daily", "wrong") == {
        "a": "failed",
        "b": "upstream_failed",
        "lone": "skipped",
    }
    assert "Did you mean 'lone'?" in trial.api.log("daily", "wrong", "a")


@pytest.mark.parametrize(
    ("dag_id", "intervals"),
    [
        ("sixes", [("2026-01-05", "2026-01-05T06"), ("2026-01-05T06", "2026-01-05T12")]),
        ("parts", [("2026-01-05", "2026-01-06"), ("2026-01-06", "2026-01-07")]),
    ],
)
def test_periods_and_partitions_are_backfilled_too(
    trial: Trial, dag_id: str, intervals: list[tuple[str, str]]
) -> None:
    lines = [Line(*text.split()) for text in trial.notes.read_text().splitlines()]
    found = sorted(line for line in lines if line.dag_id == dag_id and line.start < "2026-02")
    assert found == [Line(dag_id, "only", start, end) for start, end in intervals]


def test_the_form_of_the_ui_sends_its_choice_as_the_runs_conf(trial: Trial) -> None:
    details = trial.api._call("GET", "/dags/daily/details")
    assert details is not None
    assert details["params"]["select"]["schema"]["type"] == ["null", "string"]
    body = {"logical_date": None, "dag_run_id": "chosen", "conf": {"select": "b"}}
    trial.api._call("POST", "/dags/daily/dagRuns", body)
    assert trial.api.wait_for_run("daily", "chosen") == "success"
    assert trial.tasks("daily", "chosen") == {"a": "skipped", "b": "success", "lone": "skipped"}


def test_dags_test_has_the_interval_before_its_date(trial: Trial) -> None:
    with trial.holding_still():
        done = trial.airflow.run("dags", "test", "daily", "2026-01-15")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [Line(*text.split()) for text in trial.notes.read_text().splitlines()]
    assert sorted(line for line in lines if line.start == "2026-01-14") == [
        Line("daily", pipe_id, "2026-01-14", "2026-01-15") for pipe_id in ("a", "b", "lone")
    ]
