"""A task that dies, or is ended, takes its driver with it before the next one publishes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from kindling_airflow.protocol.claims import instance_name
from kindling_airflow.protocol.contracts import RunRequest
from tests.system.conftest import Deployment
from tests.system.dags.trials.trials.orphans import is_alive

pytestmark = pytest.mark.system
RUN = "orphans"


def _until(condition: Callable[[], bool], what: str, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.2)


def _pids(deployment: Deployment, name: str) -> dict[str, int]:
    path = deployment.trials / "orphans" / f"{name}.first"
    _until(path.exists, f"the driver of {name} is at work")
    pids: dict[str, int] = json.loads(path.read_text())
    return pids


def _left_at_second_try(deployment: Deployment, name: str) -> list[str]:
    left: list[str] = json.loads((deployment.trials / "orphans" / f"{name}.second").read_text())
    return left


def _instance(name: str) -> str:
    pipe = f"orphans.{name}"
    return instance_name(
        RunRequest("", pipe, "", (), "", dag_id="orphans", run_id=RUN, task_id=pipe)
    )


def _columns(table: Path) -> list[str]:
    sidecar = json.loads((table / "_kindling.json").read_text())
    return [field["name"] for field in sidecar["schema"]["fields"]]


@pytest.fixture(scope="module")
def over(deployment: Deployment) -> Deployment:
    """A run in which one task's process was killed and another task was marked as failed."""
    api = deployment.airflow.api
    api.wait_for_dag("orphans")
    api.unpause("orphans")
    api.trigger("orphans", RUN)
    lost, marked = _pids(deployment, "lost"), _pids(deployment, "marked")
    psutil.Process(psutil.Process(lost["jvm"]).ppid()).kill()
    path = f"/dags/orphans/dagRuns/{RUN}/taskInstances/orphans.marked"
    api._call("PATCH", path, {"new_state": "failed"})
    _until(lambda: not any(map(is_alive, lost.values())), "the lost driver is gone", 30)
    _until(lambda: not any(map(is_alive, marked.values())), "the marked driver is gone", 60)
    assert api.wait_for_run("orphans", RUN) == "failed"
    clear = {"dry_run": False, "task_ids": ["orphans.marked"], "dag_run_id": RUN}
    api._call("POST", "/dags/orphans/clearTaskInstances", {**clear, "only_failed": False})
    assert api.wait_for_run("orphans", RUN) == "success"
    return deployment


def test_the_next_try_succeeds(over: Deployment) -> None:
    instances = over.airflow.api.task_instances("orphans", RUN)
    assert {i["task_id"]: (i["state"], i["try_number"]) for i in instances} == {
        "orphans.lost": ("success", 2),
        "orphans.marked": ("success", 2),
    }


@pytest.mark.parametrize("name", ["lost", "marked"])
def test_the_first_driver_was_gone_when_the_second_worked(over: Deployment, name: str) -> None:
    assert _left_at_second_try(over, name) == []


@pytest.mark.parametrize("name", ["lost", "marked"])
def test_the_table_is_that_of_the_second_driver(over: Deployment, name: str) -> None:
    assert _columns(over.warehouse / f"orphans.{name}") == ["second"]


def test_a_claim_stands_for_each_try_that_did_not_end_by_itself(over: Deployment) -> None:
    left = [
        path.name.partition("-")[0]
        for path in (over.warehouse / "_kindling" / "claims").iterdir()
        if path.suffix != ".crc"
    ]
    for name in ("lost", "marked"):
        assert left.count(_instance(name)) == 1
