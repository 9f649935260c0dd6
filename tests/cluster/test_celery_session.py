"""A session on one Celery host, its pipes on another: by its address, and where they cannot."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from demo.celery_airflow import CeleryAirflow
from tests.cluster.conftest import PATIENCE

pytestmark = [pytest.mark.system, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]
SESSION = "kindling_session_run"
PIPES = """\
from kindling_airflow import DataPipes


@DataPipes.pipe("where", input_entity_ids=[], output_entity_id="where")
def where(run):
    import os, socket

    print(f"on {socket.gethostname()}", flush=True)
    rows = [(run.run_id, socket.gethostname())]
    return run.spark.createDataFrame(rows, "run STRING, host STRING")
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
        json.dumps({"dag_id": "shop", "project": "project", "width": 2, "session": "run"})
    )
    found = CeleryAirflow(
        folder / "airflow",
        dags_folder=dags,
        warehouse=folder / "warehouse",
        environment={
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


def _run(airflow: CeleryAirflow, run_id: str) -> tuple[str, str, list[tuple[str, str]]]:
    """Run the DAG; return the hosts of session and pipe by Airflow, and the rows of the table."""
    api = airflow.api
    api.wait_for_dag("shop", PATIENCE)
    api.unpause("shop")
    api.trigger("shop", run_id)
    assert api.wait_for_run("shop", run_id, PATIENCE) == "success"
    found = {i["task_id"]: i for i in api.task_instances("shop", run_id)}
    assert {(i["state"], i["try_number"]) for i in found.values()} == {("success", 1)}
    table = airflow.home.parent / "warehouse" / "where"
    rows = duckdb.sql(f"SELECT run, host FROM read_parquet('{table}/*.parquet')").fetchall()
    return str(found[SESSION]["hostname"]), str(found["where"]["hostname"]), rows


def test_a_pipe_is_run_by_the_session_of_another_host(airflow: CeleryAirflow) -> None:
    session, pipe, rows = _run(airflow, "together")
    assert {session, pipe} == {"worker-1", "worker-2"}
    assert rows == [("together", session)]
    place = airflow.api.xcom("shop", "together", SESSION, "kindling_session")
    socket.inet_aton(place["host"])
    assert "listens at" in airflow.api.log("shop", "together", SESSION)


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
