"""One driver for the pipes of a run, on a real scheduler; and what becomes of them when it dies."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from tests.system.conftest import Deployment
from tests.system.dags.trials.trials.orphans import is_alive

pytestmark = pytest.mark.system
SESSION = "kindling_session_run"
NAMES = ("numbers", "letters", "even", "odd", "both")
RUN = "shared"


def _until(condition: Callable[[], Any], what: str, seconds: float = 600.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.2)
    return found


def _table(deployment: Deployment, name: str, what: str) -> list[Any]:
    import duckdb

    sql = f"SELECT {what} AS x FROM read_parquet($1) ORDER BY ALL"
    path = f"{deployment.warehouse}/{name}/*.parquet"
    return [x for (x,) in duckdb.connect().execute(sql, [path]).fetchall()]


class TestRun:
    @pytest.fixture(scope="class")
    def _over(self, deployment: Deployment) -> None:
        deployment.succeed("sessions", RUN)

    @pytest.fixture
    def over(self, deployment: Deployment, _over: None) -> Deployment:
        return deployment

    def test_every_task_has_ended_well_at_its_first_try(self, over: Deployment) -> None:
        found = {
            i["task_id"]: (i["state"], i["try_number"])
            for i in over.airflow.api.task_instances("sessions", RUN)
        }
        pipes = {f"sessions.{name}": ("success", 1) for name in NAMES}
        assert found == {**pipes, SESSION: ("success", 1)}

    def test_the_tables_are_right(self, over: Deployment) -> None:
        assert _table(over, "sessions.both", "n") == [26, 500, 500]
        assert _table(over, "sessions.letters", "letter")[:3] == ["a", "b", "c"]

    def test_all_pipes_ran_in_one_process_and_each_log_has_its_own_lines(
        self, over: Deployment
    ) -> None:
        processes = set()
        for name in NAMES:
            log = over.airflow.api.log("sessions", RUN, f"sessions.{name}")
            lines = re.findall(r"(\w+) runs in process (\d+)", log)
            assert [own for own, _ in lines] == [name]
            processes.add(lines[0][1])
            assert f"Session '{SESSION}' runs this pipe." in log
        assert len(processes) == 1
        log = over.airflow.api.log("sessions", RUN, SESSION)
        assert "runs in process" not in log

    def test_a_pipe_does_not_see_the_session_of_another(self, over: Deployment) -> None:
        log = over.airflow.api.log("sessions", RUN, "sessions.odd")
        assert "zone UTC, view False" in log

    def test_each_task_has_its_own_report(self, over: Deployment) -> None:
        api = over.airflow.api
        reports = {
            name: api.xcom("sessions", RUN, f"sessions.{name}", "kindling_report") for name in NAMES
        }
        assert {name: r["rows_written"] for name, r in reports.items()} == {
            "numbers": 1000,
            "letters": 26,
            "even": 500,
            "odd": 500,
            "both": 3,
        }
        assert len({r["application_id"] for r in reports.values()}) == 1
        reads = [reports[name]["extra"]["shared_reads"] for name in ("even", "odd")]
        assert sorted(read["sessions.numbers"] for read in reads) == ["hit", "miss"]

    def test_the_secret_is_nowhere(self, over: Deployment) -> None:
        api = over.airflow.api
        place = api.xcom("sessions", RUN, SESSION, "kindling_session")
        assert sorted(place) == [
            *("attempt", "dag_id", "generation", "host", "port", "run_id", "task_id")
        ]
        assert place["host"] == "127.0.0.1"
        log = api.log("sessions", RUN, SESSION)
        assert "KINDLING_SESSION_SECRET" not in log

    def test_a_cleared_pipe_of_an_ended_run_does_without_it(self, over: Deployment) -> None:
        api = over.airflow.api
        clear = {"dry_run": False, "task_ids": ["sessions.both"], "dag_run_id": RUN}
        api._call("POST", "/dags/sessions/clearTaskInstances", {**clear, "only_failed": False})
        assert api.wait_for_run("sessions", RUN) == "success"
        states = {i["task_id"]: i["try_number"] for i in api.task_instances("sessions", RUN)}
        assert (states["sessions.both"], states[SESSION]) == (2, 1)
        log = api.log("sessions", RUN, "sessions.both", 2)
        assert "does not run this pipe: it has ended (success). It starts its own driver." in log
        assert _table(over, "sessions.both", "n") == [26, 500, 500]


class TestFaults:
    """In one run: a task is marked, a task's process is killed, then the driver of all."""

    @pytest.fixture(scope="class")
    def _over(self, deployment: Deployment) -> dict[str, Any]:
        api = deployment.airflow.api
        api.wait_for_dag("session_faults")
        api.unpause("session_faults")
        api.trigger("session_faults", RUN)
        folder = deployment.trials / "session_faults"

        def begun(name: str, number: int) -> dict[str, int]:
            path = folder / f"{name}.{number}"
            _until(path.exists, f"try {number} of {name} has begun")
            found: dict[str, int] = json.loads(path.read_text())
            return found

        driver = begun("killed", 1)
        task_process("faults.killed", RUN).kill()
        assert begun("marked", 1) == begun("neighbour", 1) == driver
        path = f"/dags/session_faults/dagRuns/{RUN}/taskInstances/faults.marked"
        api._call("PATCH", path, {"new_state": "failed"})
        again = begun("killed", 2)
        still = is_alive(driver["python"])
        _until(lambda: _state(deployment, "faults.killed") == "success", "the killed one is done")
        _until(lambda: len(_running(deployment)) == 1, "the attempt that was let go is cancelled")
        _until(lambda: _state(deployment, "faults.neighbour") == "deferred", "it waits elsewhere")
        psutil.Process(driver["jvm"]).kill()
        _until(lambda: not any(map(is_alive, driver.values())), "the driver is gone", 60)
        last = begun("neighbour", 2)
        state = api.wait_for_run("session_faults", RUN)
        return {"driver": driver, "again": again, "still": still, "last": last, "state": state}

    @pytest.fixture
    def over(self, deployment: Deployment, _over: dict[str, Any]) -> dict[str, Any]:
        return _over

    def test_the_run_ends_as_its_pipes_do(self, deployment: Deployment, over: Any) -> None:
        assert over["state"] == "failed"  # one was marked so
        found = deployment.states("session_faults", RUN)
        assert found == {
            "faults.marked": "failed",
            "faults.killed": "success",
            "faults.neighbour": "success",
            SESSION: "success",
        }

    def test_a_task_that_is_marked_or_killed_does_not_end_the_driver(self, over: Any) -> None:
        assert over["still"]
        assert over["again"] == over["driver"]  # its next try is run there

    def test_the_driver_that_died_is_left_by_those_that_ran_in_it(
        self, deployment: Deployment, over: Any
    ) -> None:
        assert over["last"]["python"] != over["driver"]["python"]
        log = deployment.airflow.api.log("session_faults", RUN, SESSION)
        assert "While it died 1 pipe ran in it: 'faults.neighbour'." in log
        own = deployment.airflow.api.log("session_faults", RUN, "faults.neighbour", 2)
        assert "It starts its own driver." in own

    def test_the_tables_are_those_of_the_tries_that_succeeded(
        self, deployment: Deployment, over: Any
    ) -> None:
        for name in ("killed", "neighbour"):
            assert _table(deployment, f"faults.{name}", "try") == [2]
        assert not (deployment.warehouse / "faults.marked").exists()

    def test_no_process_is_left(self, over: Any) -> None:
        def left() -> list[int]:
            return [
                pid
                for one in ("driver", "again", "last")
                for pid in over[one].values()
                if is_alive(pid)
            ]

        _until(lambda: not left(), "every driver has ended", 60)


def _state(deployment: Deployment, task_id: str) -> str | None:
    return deployment.states("session_faults", RUN).get(task_id)


def _running(deployment: Deployment) -> list[str]:
    log = deployment.airflow.api.log("session_faults", RUN, SESSION)
    cancelled = set(re.findall(r"Cancelled attempt of '(faults\.\w+)'", log))
    return [n for n in ("faults.marked", "faults.neighbour") if n not in cancelled]


def task_process(task_id: str, run_id: str) -> psutil.Process:
    """Return the process that executes a task: its title names nothing, its log file does."""
    for process in psutil.process_iter():
        try:
            files = [file.path for file in process.open_files()]
        except psutil.Error:
            continue
        if any(f"run_id={run_id}/task_id={task_id}/" in path for path in files):
            children = process.children()
            return children[0] if children else process
    raise AssertionError(f"no process of {task_id}")
