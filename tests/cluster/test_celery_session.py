"""A session on one Celery host, its pipes on another: by its address, and where they cannot.

A frozen host is as one that the network has lost: it does not answer, and it wakes up later.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from demo.celery_airflow import CeleryAirflow
from demo.services import wait_until
from tests.cluster.conftest import PATIENCE, assert_ended, drivers_of

pytestmark = [pytest.mark.system, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]
SESSION = "kindling_session_run"
PIPES = """\
import os
import socket
import time
from pathlib import Path

from kindling_airflow import DataPipes

TRIALS = Path(os.environ["TRIALS"])


@DataPipes.pipe("where", input_entity_ids=[], output_entity_id="where")
def where(run):
    host, is_first = socket.gethostname(), not (TRIALS / "frozen").exists()
    print(f"on {host}", flush=True)
    if run.run_id == "frozen" and is_first:
        (TRIALS / "frozen").write_text(host)
        while not (TRIALS / "go").exists():
            time.sleep(0.1)
    return run.spark.createDataFrame([(run.run_id, host)], "run STRING, host STRING")
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CeleryAirflow]:
    """Two hosts that run one task at a time: a session's pipes run on the other one."""
    folder = tmp_path_factory.mktemp("sessions")
    dags = folder / "dags"
    (dags / "project").mkdir(parents=True)
    (dags / "project" / "pipes.py").write_text(PIPES)
    (dags / "kindling_dags.py").write_text((ROOT / "dags" / "kindling_dags.py").read_text())
    (dags / "shop.kindling.yaml").write_text(
        json.dumps(
            {
                "dag_id": "shop",
                "project": "project",
                "width": 2,
                "session": "run",
                "retries": 1,
                "retry_delay_seconds": 1,
            }
        )
    )
    found = CeleryAirflow(
        folder / "airflow",
        dags_folder=dags,
        warehouse=folder / "warehouse",
        environment={
            "TRIALS": str(folder),
            "AIRFLOW__KINDLING__SHARED_WAREHOUSE": "True",
            "AIRFLOW__KINDLING__SESSION_START_SECONDS": "30",
            # Of the host that reads it: each has its own AIRFLOW_HOME.
            "AIRFLOW__KINDLING__SESSION_SECRET_CMD": f"cat {folder}/airflow/worker/secret",
        },
        concurrency=1,
        replicas=1,
    )
    with found:
        _give_secrets(found, "one", "one")
        yield found


def _give_secrets(airflow: CeleryAirflow, *secrets: str) -> None:
    for number, secret in enumerate(secrets, 1):
        (airflow.home / "hosts" / f"worker-{number}" / "home" / "secret").write_text(secret)


def _begin(airflow: CeleryAirflow, run_id: str) -> None:
    airflow.api.wait_for_dag("shop", PATIENCE)
    airflow.api.unpause("shop")
    airflow.api.trigger("shop", run_id)


def _rows(airflow: CeleryAirflow) -> list[tuple[str, str]]:
    table = airflow.home.parent / "warehouse" / "where"
    return duckdb.sql(f"SELECT run, host FROM read_parquet('{table}/*.parquet')").fetchall()


def _run(airflow: CeleryAirflow, run_id: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Run the DAG; return the hosts of session and pipe by Airflow, and the rows of the table."""
    api = airflow.api
    _begin(airflow, run_id)
    assert api.wait_for_run("shop", run_id, PATIENCE) == "success"
    found = {i["task_id"]: i for i in api.task_instances("shop", run_id)}
    assert {(i["state"], i["try_number"]) for i in found.values()} == {("success", 1)}
    return str(found[SESSION]["hostname"]), str(found["where"]["hostname"]), _rows(airflow)


def test_a_pipe_is_run_by_the_session_of_another_host(airflow: CeleryAirflow) -> None:
    session, pipe, rows = _run(airflow, "together")
    assert {session, pipe} == {"worker-1", "worker-2"}
    assert rows == [("together", session)]
    place = airflow.api.xcom("shop", "together", SESSION, "kindling_session")
    socket.inet_aton(place["host"])
    assert "listens at" in airflow.api.log("shop", "together", SESSION)


def test_a_session_whose_host_is_lost_costs_a_try_and_does_not_publish_later(
    airflow: CeleryAirflow,
) -> None:
    trials = airflow.home.parent
    _begin(airflow, "frozen")
    wait_until((trials / "frozen").exists, "the pipe is at work in the session", PATIENCE)
    lost = airflow.workers[(trials / "frozen").read_text()]
    [other] = [host for host in airflow.workers.values() if host is not lost]
    drivers = drivers_of(lost)
    assert drivers
    lost.freeze()
    assert airflow.api.wait_for_run("shop", "frozen", PATIENCE) == "success"
    found = {i["task_id"]: i for i in airflow.api.task_instances("shop", "frozen")}
    assert (found["where"]["state"], found["where"]["try_number"]) == ("success", 2)
    assert found["where"]["hostname"] == other.name
    assert _rows(airflow) == [("frozen", other.name)]
    first = airflow.api.log("shop", "frozen", "where", 1)
    assert f"the driver of session '{SESSION}' was lost while this pipe ran in it" in first
    assert "It starts its own driver." in airflow.api.log("shop", "frozen", "where", 2)
    (trials / "go").touch()
    lost.thaw()
    assert_ended(drivers)
    assert _rows(airflow) == [("frozen", other.name)]
    wait_until(lambda: lost.answers, f"{lost.name} is back", PATIENCE)


def test_a_pipe_whose_host_is_refused_by_the_session_has_its_own_driver(
    airflow: CeleryAirflow,
) -> None:
    _give_secrets(airflow, "one", "another")
    session, pipe, rows = _run(airflow, "apart")
    assert {session, pipe} == {"worker-1", "worker-2"}
    assert rows == [("apart", pipe)]
    log = airflow.api.log("shop", "apart", "where")
    assert f"Session '{SESSION}' does not run this pipe: " in log
    assert "It starts its own driver." in log
