"""One Airflow of two Celery hosts for all tests of a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from demo.celery_airflow import CeleryAirflow
from demo.hosts import Host
from demo.services import Hadoop, Postgres, S3Server, wait_until
from tests.system.streams import DAGS as STREAM_DAGS

DAGS = Path(__file__).parent / "dags"
PATIENCE = 600.0


def drivers_of(host: Host) -> list[psutil.Process]:
    """Return the Java processes of a host."""
    return [process for process in host.processes() if "java" in process.name()]


def assert_ended(processes: list[psutil.Process]) -> None:
    """Wait until processes have ended."""
    psutil.wait_procs(processes, timeout=PATIENCE)  # type: ignore[arg-type]
    assert [process for process in processes if process.is_running()] == []


@dataclass(frozen=True)
class Cluster:
    """A running Airflow with its folders; every host sees warehouse and trials, as on a share."""

    airflow: CeleryAirflow
    warehouse: Path
    trials: Path

    def begin(self, run_id: str, step: str) -> Host:
        """Start a run of ``lost``; return the host whose driver stands at a step of its publish."""
        steps = self.trials / "steps.json"
        known = json.loads(steps.read_text()) if steps.exists() else {}
        steps.write_text(json.dumps({**known, run_id: step}))
        api = self.airflow.api
        api.wait_for_dag("lost", PATIENCE)
        api.unpause("lost")
        api.trigger("lost", run_id)
        waiting = self.trials / run_id / "waiting"
        wait_until(waiting.exists, f"a driver of {run_id} waits", PATIENCE)
        return self.airflow.workers[json.loads(waiting.read_text())["host"]]

    def tasks(self, run_id: str) -> dict[str, tuple[str, int]]:
        """Return state and number of tries of each task of a run of ``lost``."""
        found = self.airflow.api.task_instances("lost", run_id)
        return {i["task_id"]: (i["state"], i["try_number"]) for i in found}

    def host_of(self, run_id: str, task_id: str) -> str:
        """Return the host of the last try of a task of ``lost``."""
        found = self.airflow.api.task_instances("lost", run_id)
        return next(str(i["hostname"]) for i in found if i["task_id"] == task_id)

    def rows(self, table: str) -> list[Any]:
        """Return the rows of a table of the warehouse, sorted."""
        return duckdb.sql(
            f"SELECT * FROM read_parquet('{self.warehouse / table}/*.parquet') ORDER BY ALL"
        ).fetchall()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two schedulers, two triggerers, and two workers that are hosts."""
    folder = tmp_path_factory.mktemp("cluster")
    generated = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    shutil.copytree(DAGS, folder / "dags", ignore=generated)
    shutil.copytree(STREAM_DAGS, folder / "dags", ignore=generated, dirs_exist_ok=True)
    for name in ("warehouse", "trials"):
        (folder / name).mkdir()
    (folder / "trials" / "steps.json").write_text("{}")
    airflow = CeleryAirflow(
        folder / "airflow",
        dags_folder=folder / "dags",
        warehouse=folder / "warehouse",
        environment={
            "KINDLING_TRIALS": str(folder / "trials"),
            "AIRFLOW__KINDLING__SHARED_WAREHOUSE": "True",
        },
        concurrency=3,
    )
    with airflow:
        yield Cluster(airflow, folder / "warehouse", folder / "trials")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server with a bucket ``lake``."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        server.create_bucket("lake")
        yield server


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    """A NameNode and a DataNode."""
    with Hadoop(tmp_path_factory.mktemp("hadoop"), yarn=False) as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database for catalogs."""
    with Postgres(tmp_path_factory.mktemp("postgres") / "data") as database:
        database.create_database("lake")
        yield f"{database.jdbc_url('lake')}?user={database.user}"
