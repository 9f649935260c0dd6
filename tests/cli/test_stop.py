"""``stop`` with a database that answers as a test says; a real one is in ``test_streams``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.cli.stop import stopping
from kindling_airflow.cli.stop.stop_database import StreamingDag, StreamingRun


class Database:
    """A DAG ``lake``: the streams ``a`` and ``b``, a batch pipe ``c``, and its run, look by look.

    What is done to it is in ``done``. While it is paused, ``after_pause`` are the runs that are
    found to be running besides, look by look; each is over at the second look at it.
    """

    def __init__(self) -> None:
        self.done: list[str] = []
        self.looks = [self.run("running", "running", "running")]
        self.is_paused = False
        self.after_pause: list[list[StreamingRun]] = [[]]
        self.late: dict[str, StreamingRun] = {}
        self.short: dict[str, list[str]] = {}

    @staticmethod
    def run(
        state: str, a: str | None, b: str | None, c: str | None = "success", run_id: str = "r"
    ) -> StreamingRun:
        tasks = {"a": a, "b": b, "c": c, "stop": "success", "outcome": None}
        return StreamingRun(run_id, state, tasks)

    def streaming_dag(self, dag_id: str) -> StreamingDag:
        return StreamingDag(dag_id, ("stop",), ("a", "b"), self.is_paused, frozenset(["outcome"]))

    def running_runs(self, dag_id: str, run_ids: list[str] | None = None) -> list[StreamingRun]:
        if run_ids is None and "paused" in self.done:
            late = self.after_pause.pop(0) if len(self.after_pause) > 1 else self.after_pause[0]
            self.late.update((run.run_id, run) for run in late)
            return [run for run in (*late, self.looks[0]) if run.state == "running"]
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if run_ids is None:
            return [look] if look.state == "running" else []
        late = [self.late[name] for name in run_ids if name in self.late]
        self.late.update(
            (run.run_id, self.run("success", "success", "success", run_id=run.run_id))
            for run in late
        )
        return [*[look for name in run_ids if name == look.run_id], *late]

    def request_stop(self, dag: StreamingDag, run_id: str) -> None:
        self.done.append(f"told {run_id}")

    def set_paused(self, dag_id: str, *, is_paused: bool) -> None:
        self.done.append("paused" if is_paused else "unpaused")

    def close_run(self, dag_id: str, run_id: str) -> None:
        self.done.append(f"closed {run_id}")

    def undrained(self, dag: StreamingDag, run_id: str) -> list[str]:
        return self.short.get(run_id, [])


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    found = Database()
    for name in (
        *("streaming_dag", "running_runs", "request_stop", "set_paused", "close_run"),
        "undrained",
    ):
        monkeypatch.setattr(stopping, name, getattr(found, name))
    monkeypatch.setattr(stopping, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(stopping, "_SETTLE_SECONDS", 0.1)
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
        "lake r: stop requested",
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


def test_batch_pipes_are_run_before_the_dag_is_paused(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [
        Database.run("running", "running", "running", None),
        Database.run("running", "success", "success", None),
        Database.run("running", "success", "success", "queued"),
        DRAINED,
        OVER,
    ]
    assert main(["stop", "lake"]) == 0
    assert database.done == ["told r", "paused", "closed r"]
    assert capsys.readouterr().out.splitlines() == [
        "lake r: stop requested",
        "lake r: streams: 2 success; still running: 'c' (waiting)",
        "lake r: streams: 2 success; still running: 'c' (queued)",
        "lake r: streams: 2 success",
        "lake: paused",
        "lake r: success",
    ]


def test_a_paused_dag_goes_on_while_something_is_to_be_begun(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = Database.run("running", "up_for_retry", "success")
    database.is_paused, database.looks = True, [ALIVE, ALIVE, waits, ALIVE, DRAINED, OVER]
    assert main(["stop", "lake", "--restart"]) == 0
    assert database.done == ["told r", "unpaused", "paused", "closed r"]
    said = capsys.readouterr().out.splitlines()
    assert "lake: not paused for now: tasks still have to start" in said


def test_a_run_that_began_before_the_dag_was_paused_is_stopped_too(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [ALIVE, OVER]
    database.after_pause = [[], [Database.run("running", None, None, None, run_id="next")], []]
    assert main(["stop", "lake"]) == 0
    assert database.done == ["told r", "paused", "told next", "unpaused", "paused"]
    assert capsys.readouterr().out.splitlines()[-2:] == ["lake r: success", "lake next: success"]


def test_a_run_that_begins_while_there_is_none_is_stopped(database: Database) -> None:
    database.looks = [OVER]
    database.after_pause = [[Database.run("running", "running", "running", run_id="next")], []]
    assert main(["stop", "lake"]) == 0
    assert database.done == ["paused", "told next"]


def test_a_run_that_does_not_end_in_time_is_an_error_and_the_dag_goes_on(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [ALIVE, Database.run("running", "up_for_retry", "success", None)]
    assert main(["stop", "lake", "--wait", "0"]) == 1
    assert database.done == ["told r"]
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "lake r: has not ended after 0 s: 'a' (up_for_retry), 'c' (waiting)",
        (
            "lake: not paused yet, because Airflow starts no tasks of a paused DAG, and a stream "
            "that fails while it drains has to be retried. The streams continue to drain; after "
            "that the next run may start."
        ),
        "  Fix: wait with 'airflow kindling stop lake'; see the logs of these tasks.",
    ]


def test_who_does_not_wait_is_told_how_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    assert main(["stop", "lake", "--restart"]) == 130
    assert database.done == ["told r"]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "lake r: has not ended yet: 'a' (running), 'b' (running)",
        ("  Fix: wait with 'airflow kindling stop lake --restart'; see the logs of these tasks."),
    ]


def test_streams_that_have_not_taken_everything_are_named(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks, database.short = [ALIVE, DRAINED, OVER], {"r": ["b"]}
    assert main(["stop", "lake"]) == 1
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "lake r: success",
        "lake r: ended before all available data was processed: 'b'",
        "  No data is lost or duplicated: the next run continues from the checkpoints.",
        "  Fix: start it and stop it later; raise stream.drain_timeout to allow more time.",
    ]


def test_nothing_running_is_an_error_and_nothing_will_run(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.looks = [OVER]
    assert main(["stop", "lake"]) == 1
    assert database.done == ["paused"]
    said = capsys.readouterr().err
    assert said == "no run of DAG 'lake' is running; it is paused, so none will start\n"


@pytest.mark.parametrize(
    ("run_id", "status", "text"),
    [
        ("r", 1, "run 'r' of DAG 'lake' is not running but success: nothing to stop\n"),
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
    database.looks, database.short = [ALIVE, DRAINED, OVER], {"r": ["a", "b"]}
    assert main(["stop", "lake", "--json"]) == 1
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert said == {
        "dag_id": "lake",
        "is_paused": True,
        "runs": [
            {
                "run_id": "r",
                "state": "success",
                "tasks": dict(OVER.tasks),
                "undrained": ["a", "b"],
            }
        ],
    }
