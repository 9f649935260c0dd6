"""What is lost while a session runs, on a real Airflow: its driver, its task, schedulers, the run.

One DAG, a run for each loss. ``table`` can be stopped in the middle of its publish, ``hold`` while
it works; each notes the processes that it runs in. ``after`` reads the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.local_airflow import LocalAirflow
from tests.system.dags.trials.trials.orphans import is_alive
from tests.system.streams import StreamsAirflow, until
from tests.system.test_sessions import task_process

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[2]
SESSION = "kindling_session_run"
PIPES = '''\
"""Pipes that can be stopped where a test wants to."""

import json
import os
import time
from pathlib import Path

from kindling_airflow import DataPipes
from kindling_airflow.runner.providers.storage import Storage

TRIALS = Path(os.environ["TRIALS"])


def pipe(name, *inputs):
    return DataPipes.pipe(name, input_entity_ids=list(inputs), output_entity_id=name)


def begin(run, name):
    """Note the processes; return which try of the run this is."""
    number = 1
    while (TRIALS / f"{run.run_id}.{name}.{number}").exists():
        number += 1
    part = TRIALS / f"{run.run_id}.{name}.part"
    part.write_text(json.dumps({"python": os.getpid(), "jvm": os.getppid()}))
    part.rename(TRIALS / f"{run.run_id}.{name}.{number}")
    return number


def wanted(run, what):
    return (TRIALS / f"{run.run_id}.{what}").exists()


def rows(run, number):
    return run.spark.createDataFrame([(run.run_id, number)], "run STRING, try INT")


def stop_in_the_middle(run):
    """Stop between the two renames of the table's publish; the process is killed then."""
    move = Storage.move

    def moved(self, source, target):
        if "/staging/" in source and target.endswith("/table"):  # 'hold' publishes beside it
            (TRIALS / f"{run.run_id}.in_the_middle").touch()
            time.sleep(3600)
        move(self, source, target)

    Storage.move = moved


@pipe("table")
def table(run):
    number = begin(run, "table")
    if number == 1 and wanted(run, "stop"):
        stop_in_the_middle(run)
    return rows(run, number)


@pipe("hold")
def hold(run):
    number = begin(run, "hold")
    while wanted(run, "hold") and not wanted(run, "go"):
        time.sleep(0.1)
    return rows(run, number)


@pipe("after", "table")
def after(table, run):
    begin(run, "after")
    return table.withColumnRenamed("try", "seen")
'''


class Losses(StreamsAirflow):
    """The Airflow of these tests."""

    @property
    def trials(self) -> Path:
        return self.airflow.home.parent

    def begun(self, run_id: str, name: str, number: int = 1) -> dict[str, int]:  # type: ignore[override]
        """Return the processes of a pipe, as soon as it is at work."""
        path = self.trials / f"{run_id}.{name}.{number}"
        until(path.exists, f"try {number} of {name} in run {run_id}")
        found: dict[str, int] = json.loads(path.read_text())
        return found

    def want(self, run_id: str, what: str) -> None:
        (self.trials / f"{run_id}.{what}").touch()

    def tries(self, run_id: str) -> dict[str, tuple[str, int]]:
        found = self.instances("losses", run_id)
        return {name: (i["state"], i["try_number"]) for name, i in found.items()}

    def log(self, run_id: str, task_id: str, number: int = 1) -> str:
        return self.airflow.api.log("losses", run_id, task_id, number)

    def ended(self, run_id: str) -> str:
        return self.airflow.api.wait_for_run("losses", run_id)

    def gone(self, *processes: dict[str, int]) -> None:
        pids = [pid for one in processes for pid in one.values()]
        until(lambda: not any(map(is_alive, pids)), f"{pids} have ended", 90)

    def rows_try(self, name: str) -> int:
        """Return which try has written a table."""
        [(_, number)] = self.rows(self.warehouse / name)
        return int(number)

    def nothing_is_left(self) -> None:
        """Wait until no driver runs, and no staged or moved rows are left."""
        until(lambda: not self.drivers(), "no driver is left", 90)
        left = [
            path
            for kind in ("staging", "previous")
            for path in (self.warehouse / "_kindling" / kind).glob("*/*")
        ]
        assert left == []


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory, spark_profile: str) -> Iterator[Losses]:
    from tests.system.conftest import PROFILES

    folder = tmp_path_factory.mktemp("losses")
    dags, warehouse = folder / "dags", folder / "warehouse"
    (dags / "project").mkdir(parents=True)
    (dags / "project" / "losses.py").write_text(PIPES)
    (dags / "kindling_dags.py").write_text((ROOT / "dags" / "kindling_dags.py").read_text())
    (dags / "losses.kindling.yaml").write_text(
        "dag_id: losses\nproject: {path: project, modules: [losses]}\npool: losses\nwidth: 2\n"
        "retries: 2\nretry_delay_seconds: 1\nsession: run\n"
    )
    airflow = LocalAirflow(
        folder / "airflow",
        dags_folder=dags,
        warehouse=warehouse,
        profile=PROFILES,
        parallelism=8,
        environment={
            "TRIALS": str(folder),
            "AIRFLOW__KINDLING__SESSION_WAIT_SECONDS": "3",
            # A lost component is noticed soon.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
        },
    )
    with airflow:
        found = Losses(airflow, warehouse)
        try:
            found.trigger("losses", "before")
            assert found.ended("before") == "success"
            yield found
        finally:
            found.end_replacements()


def test_the_driver_is_killed_in_the_middle_of_a_publish(losses: Losses) -> None:
    run = "publish"
    losses.want(run, "stop")
    losses.trigger("losses", run)
    first = losses.begun(run, "table")
    until((losses.trials / f"{run}.in_the_middle").exists, "the table is moved away")
    assert not (losses.warehouse / "table").exists()
    psutil.Process(first["jvm"]).kill()
    losses.gone(first)
    again = losses.begun(run, "table", 2)
    assert losses.ended(run) == "success"
    assert losses.tries(run)["table"] == ("success", 2)
    assert losses.tries(run)["after"] == ("success", 1)
    assert losses.rows(losses.warehouse / "table") == [(run, 2)]
    assert losses.rows(losses.warehouse / "after") == [(run, 2)]
    assert "ran in it: " in losses.log(run, SESSION)
    assert "'table'" in losses.log(run, SESSION)
    assert "It starts its own driver." in losses.log(run, "table", 2)
    later = losses.begun(run, "after")
    assert again not in (first, later)
    losses.gone(again, later)
    losses.nothing_is_left()


def test_the_task_of_the_session_is_killed(losses: Losses) -> None:
    run = "worker"
    losses.want(run, "hold")
    losses.trigger("losses", run)
    first = losses.begun(run, "hold")
    task_process(SESSION, run).kill()
    losses.gone(first)
    again = losses.begun(run, "hold", 2)
    losses.want(run, "go")
    assert losses.ended(run) == "success"
    assert losses.tries(run)["hold"] == ("success", 2)
    assert losses.rows(losses.warehouse / "hold") == [(run, 2)]
    assert losses.rows(losses.warehouse / "after") == [(run, losses.rows_try("table"))]
    losses.gone(again)
    losses.nothing_is_left()


def test_the_task_of_a_pipe_is_killed(losses: Losses) -> None:
    run = "task"
    losses.want(run, "hold")
    losses.trigger("losses", run)
    first = losses.begun(run, "hold")
    task_process("hold", run).kill()
    again = losses.begun(run, "hold", 2)
    assert again == first  # the driver lives on, and runs the next try
    losses.want(run, "go")
    assert losses.ended(run) == "success"
    assert losses.tries(run) == {
        SESSION: ("success", 1),
        "table": ("success", 1),
        "hold": ("success", 2),
        "after": ("success", 1),
    }
    assert losses.rows(losses.warehouse / "hold") == [(run, 2)]
    losses.gone(first)
    losses.nothing_is_left()


def test_the_triggerer_and_then_the_scheduler_are_killed(losses: Losses) -> None:
    run = "components"
    losses.want(run, "hold")
    losses.trigger("losses", run)
    first = losses.begun(run, "hold")
    losses.wait_for("losses", run, hold="deferred", after="success")
    losses.replace("triggerer")
    losses.replace("scheduler")
    losses.want(run, "go")
    assert losses.ended(run) == "success"
    number = losses.rows_try("hold")
    assert losses.rows(losses.warehouse / "hold") == [(run, number)]
    assert {state for state, _ in losses.tries(run).values()} == {"success"}
    losses.gone(first, losses.begun(run, "hold", number))
    losses.nothing_is_left()


def test_the_run_is_deleted_while_it_runs(losses: Losses) -> None:
    run = "deleted"
    losses.want(run, "hold")
    losses.trigger("losses", run)
    first = losses.begun(run, "hold")
    losses.wait_for("losses", run, after="success")  # a killed driver may leave what it staged
    before = losses.rows(losses.warehouse / "hold")
    path = f"/dags/losses/dagRuns/{run}"
    losses.airflow.api._call("PATCH", path, {"state": "failed"})
    losses.airflow.api._call("DELETE", path)
    losses.gone(first)
    losses.want(run, "go")
    assert losses.rows(losses.warehouse / "hold") == before
    losses.nothing_is_left()
