"""``stop`` with a database that answers as a test says; a real one is in ``test_streams``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kindling_airflow.cli import stopping
from kindling_airflow.cli.main import main
from kindling_airflow.cli.stop_database import StreamingDag, StreamingRun


class Database:
    """One DAG ``lake`` with the streams ``a`` and ``b``, and the states of its run, look by look.

    What is done to it is in ``done``.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.looks = [self.run("running", "running", "running")]
        self.is_paused = False

    @staticmethod
    def run(state: str, a: str | None, b: str | None) -> StreamingRun:
        return StreamingRun("r", state, {"a": a, "b": b, "stop": "deferred"})

    def streaming_dag(self, dag_id: str) -> StreamingDag:
        return StreamingDag(dag_id, ("stop",), ("a", "b"), self.is_paused)

    def running_runs(self, dag_id: str, run_ids: list[str] | None = None) -> list[StreamingRun]:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        wanted = [look] if run_ids is None else [look for name in run_ids if name == look.run_id]
        return [run for run in wanted if run_ids is not None or run.state == "running"]

    def tell_to_stop(self, dag: StreamingDag, run_id: str) -> None:
        self.done.append(f"told {run_id}")

    def pause(self, dag_id: str) -> None:
        self.done.append("paused")

    def close_run(self, dag_id: str, run_id: str) -> None:
        self.done.append(f"closed {run_id}")


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database()
    for name in ("streaming_dag", "running_runs", "tell_to_stop", "pause", "close_run"):
        monkeypatch.setattr(stopping, name, getattr(found, name))
    monkeypatch.setattr(stopping, "_LOOK_SECONDS", 0.0)
    return found


ALIVE = Database.run("running", "running", "running")
DRAINING = Database.run("running", "running", "success")
DRAINED = Database.run("running", "success", "success")
OVER = Database.run("success", "success", "success")


def test_the_dag_is_paused_when_its_streams_have_ended_and_not_before(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [ALIVE, ALIVE, DRAINING, DRAINED, OVER]
    assert main(["stop", "lake"]) == 0
    assert database.done == ["told r", "paused", "closed r"]
    assert capsys.readouterr().out.splitlines() == [
        "lake r: told to stop",
        "lake r: streams: 2 running",
        "lake r: streams: 1 running, 1 success",
        "lake r: streams: 2 success",
        "lake: paused",
        "lake r: success",
    ]


def test_with_restart_the_dag_goes_on(database: Database) -> None:
    database.looks = [ALIVE, DRAINED, OVER]
    assert main(["stop", "lake", "--restart"]) == 0
    assert database.done == ["told r"]


def test_a_run_of_a_paused_dag_is_closed_nevertheless(database: Database) -> None:
    database.is_paused, database.looks = True, [ALIVE, DRAINED, OVER]
    assert main(["stop", "lake", "--restart"]) == 0
    assert database.done == ["told r", "closed r"]


def test_a_run_that_does_not_end_in_time_is_an_error(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [ALIVE, Database.run("running", None, "success")]
    assert main(["stop", "lake", "--wait", "0"]) == 1
    assert database.done == ["told r", "paused"]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "lake r: not over after 0 s: 'a' (waiting)",
        "  Fix: call it again to wait on; the logs of these tasks say what they do.",
    ]


def test_nothing_running_is_an_error_and_nothing_will_run(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [OVER]
    assert main(["stop", "lake"]) == 1
    assert database.done == ["paused"]
    said = capsys.readouterr().err
    assert said == "no run of DAG 'lake' is running; it is paused, so none will be\n"


@pytest.mark.parametrize(
    ("run_id", "status", "text"),
    [
        ("r", 1, "run 'r' of DAG 'lake' is not running, but success: there is nothing to stop\n"),
        ("x", 2, "kindling-airflow stop: DAG 'lake' has no run 'x'\n"),
    ],
)
def test_a_run_that_cannot_be_stopped_is_named(
    database: Database, capsys: pytest.CaptureFixture[str], run_id: str, status: int, text: str
) -> None:
    database.looks = [OVER]
    assert main(["stop", "lake", "--run-id", run_id]) == status
    assert database.done == []
    assert capsys.readouterr().err == text


def test_json_is_one_document(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    database.looks = [ALIVE, DRAINED, OVER]
    assert main(["stop", "lake", "--json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said == {
        "dag_id": "lake",
        "is_paused": True,
        "runs": [
            {
                "run_id": "r",
                "state": "success",
                "tasks": {"a": "success", "b": "success", "stop": "deferred"},
            }
        ],
    }
