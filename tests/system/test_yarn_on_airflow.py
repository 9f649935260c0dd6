"""Real Airflow on a real YARN: a task is marked as failed, and another one loses its process."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.local_airflow import LocalAirflow
from demo.services.hadoop import Hadoop
from kindling_airflow.cli.main import main
from kindling_airflow.operators.driver.shared_files import shared_files

pytestmark = [pytest.mark.system, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]
PIPES = """\
import os
import time
from pathlib import Path

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "json", "provider.path": "landing/in.json"},
    schema="n INT",
)


def pipe(name):
    @DataPipes.pipe(name, input_entity_ids=["raw.orders"], output_entity_id=name)
    def work(raw_orders):
        print(f"hello from {name}", flush=True)
        trials = Path(os.environ["TRIALS"])
        with (trials / f"{name}.begun").open("a") as begun:
            begun.write("x")
        end = time.monotonic() + 600
        while not (trials / f"{name}.go").exists() and time.monotonic() < end:
            time.sleep(0.1)
        return raw_orders


pipe("marked")
pipe("lost")
"""


def _until(condition: Callable[[], Any], what: str, seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)


@pytest.fixture(scope="module")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    with Hadoop(tmp_path_factory.mktemp("hadoop")) as hadoop:
        yield hadoop


@pytest.fixture(scope="module")
def airflow(hadoop: Hadoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    (dags / "project").mkdir(parents=True)
    (dags / "project" / "pipes.py").write_text(PIPES)
    (dags / "kindling_dags.py").write_text((ROOT / "dags" / "kindling_dags.py").read_text())
    assert main(["package", str(dags / "project"), "-o", str(dags / "shop.zip")]) == 0
    settings = {**hadoop.spark_settings(), "spark.yarn.appMasterEnv.TRIALS": str(folder)}
    definition = {
        "dag_id": "shop",
        "project": "project",
        "package": "shop.zip",
        "warehouse": f"{hadoop.url}/warehouse",
        "width": 2,
        "retries": 1,
        "retry_delay_seconds": 1,
        "spark": {"deploy_mode": "cluster", "num_executors": 1, "conf": settings},
    }
    (dags / "shop.kindling.yaml").write_text(json.dumps(definition))
    files = shared_files(f"{hadoop.url}/warehouse", environment=hadoop.environment())
    files.write("landing/in.json", '{"n":1}\n')
    with LocalAirflow(
        folder / "home",
        dags_folder=dags,
        warehouse=folder,
        environment={
            **hadoop.environment(),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_HOSTNAME": "localhost",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "yarn"}),
        },
    ) as airflow:
        yield airflow


def _task_process(airflow: LocalAirflow, instance_id: str) -> psutil.Process:
    """Return the process of a task instance, which Airflow titles by its id."""
    assert airflow._process is not None
    children = psutil.Process(airflow._process.pid).children(recursive=True)
    (found,) = (p for p in children if f"worker -- {instance_id}" in " ".join(p.cmdline()))
    return found


def test_marked_and_lost(airflow: LocalAirflow, hadoop: Hadoop) -> None:
    """Marked as failed: killed, not published. Lost: the retry takes up the living driver."""
    api, trials = airflow.api, airflow.home.parent
    files = shared_files(f"{hadoop.url}/warehouse", environment=hadoop.environment())
    api.wait_for_dag("shop")
    api.unpause("shop")
    run = api.trigger("shop", "yarn")
    for name in ("marked", "lost"):
        _until((trials / f"{name}.begun").exists, f"the driver of {name} works")
    apps = {app["name"]: app["id"] for app in hadoop.applications()}
    path = f"/dags/shop/dagRuns/{run}/taskInstances/marked"
    api._call("PATCH", path, {"new_state": "failed"})

    def states() -> dict[str, str]:
        return {app["name"]: app["state"] for app in hadoop.applications()}

    _until(lambda: states()["marked"] == "KILLED", "the driver of the marked task is killed", 60)

    def lost() -> dict[str, Any]:
        found = {item["task_id"]: item for item in api.task_instances("shop", run)}
        return found["lost"]

    _task_process(airflow, str(lost()["id"])).kill()
    _until(lambda: lost()["try_number"] == 2 and lost()["state"] == "running", "the retry begins")
    _until(lambda: "Taking up" in api.log("shop", run, "lost", 2), "the driver is taken up", 120)
    (trials / "lost.go").touch()
    (trials / "marked.go").touch()
    assert api.wait_for_run("shop", run) == "failed"
    assert lost()["state"] == "success", api.log("shop", run, "lost", 2)[-4000:]
    log = api.log("shop", run, "lost", 2)
    assert f"Taking up {apps['lost']}" in log
    assert "hello from lost" in log
    assert (trials / "lost.begun").read_text() == "x"
    assert len(hadoop.applications()) == 2
    marked = api.log("shop", run, "marked", 1)
    assert f"its driver with it (YARN reports {apps['marked']} as KILLED)" in marked
    assert [n for n in files.names("lost") if n.endswith(".parquet")]
    assert files.names("marked") == []
    assert files.names("_kindling/claims") == files.names("_kindling/leases") == []
