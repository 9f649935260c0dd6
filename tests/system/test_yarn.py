"""Pipes on a real YARN in cluster mode, with an HDFS warehouse: published, killed, lost, taken up.

The task's process has neither Hadoop's native library nor the command ``yarn``: reports and claims
go through WebHDFS, the application is followed and killed through the resource manager.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyspark
import pytest
import requests

from demo.services.hadoop import Hadoop
from kindling_airflow.cli.main import main
from kindling_airflow.operators.driver.hadoop_conf import hadoop_properties, resource_managers
from kindling_airflow.operators.driver.shared_files import SharedFiles, shared_files

pytestmark = pytest.mark.system
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


@DataPipes.pipe("orders", input_entity_ids=["raw.orders"], output_entity_id="orders")
def orders(raw_orders):
    from pyspark.sql import functions as F

    print("hello from the pipe", flush=True)
    trials = Path(os.environ["TRIALS"])
    with (trials / "begun").open("a") as begun:
        begun.write("x")
    end = time.monotonic() + 900
    while not (trials / "go").exists() and time.monotonic() < end:
        time.sleep(0.1)
    return raw_orders.withColumn("by", F.lit(os.environ["BY"]))
"""


@dataclass
class Shop:
    """A packaged project, its warehouse on HDFS, and the cluster that runs it."""

    folder: Path
    conf_dir: Path
    warehouse: str
    files: SharedFiles
    manager: str
    workers: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(
        self, *, by: str = "first", lease: float = 60.0, **asked: Any
    ) -> subprocess.Popen[str]:
        """Start one try of the task in its own process."""
        spark_home = Path(pyspark.__file__).parent
        here = {
            "PYSPARK_PYTHON": sys.executable,
            "JAVA_HOME": os.environ["JAVA_HOME"],
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_HOSTNAME": "localhost",
        }
        there = {**here, "TRIALS": str(self.folder), "BY": by}
        conf = {
            "spark.yarn.jars": f"local:{spark_home}/jars/*",
            "spark.ui.enabled": False,
            "spark.sql.shuffle.partitions": 2,
            **{f"spark.yarn.appMasterEnv.{name}": value for name, value in there.items()},
            **{f"spark.executorEnv.{name}": value for name, value in here.items()},
        }
        spark = {"deploy_mode": "cluster", "driver_memory": "512m", "executor_memory": "512m"}
        definition = {
            "dag_id": "shop",
            "project": "project",
            "package": "shop.zip",
            "warehouse": self.warehouse,
            "retries": 1,
            "spark": {**spark, "num_executors": 1, "conf": conf},
        }
        whole = {
            "dags": str(self.folder),
            "definition": definition,
            "run_id": "run",
            "try_number": 1,
            "max_tries": 1,
            **asked,
        }
        connection = {"conn_type": "spark", "host": "yarn"}
        log = self.folder / f"worker-{len(self.workers)}.log"
        with log.open("w") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.system.yarn_worker", json.dumps(whole)],
                cwd=ROOT,
                env={
                    **os.environ,
                    **here,
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                    "HADOOP_CONF_DIR": str(self.conf_dir),
                    "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(connection),
                    "AIRFLOW__KINDLING__LEASE_SECONDS": str(lease),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def log(self, worker: subprocess.Popen[str]) -> str:
        """Return what a worker has printed."""
        return (self.folder / f"worker-{self.workers.index(worker)}.log").read_text()

    def end(self, worker: subprocess.Popen[str]) -> dict[str, Any]:
        """Return how a worker's task has ended."""
        worker.wait(600)
        end: dict[str, Any] = json.loads(self.log(worker).splitlines()[-1])
        return end

    def begun(self) -> int:
        """Return how often the pipe has been called."""
        begun = self.folder / "begun"
        return len(begun.read_text()) if begun.exists() else 0

    def go_on(self) -> None:
        """Let the pipe return."""
        (self.folder / "go").touch()

    def applications(self) -> dict[str, str]:
        """Return the state of every application of this shop by id."""
        answer = requests.get(f"{self.manager}/ws/v1/cluster/apps", timeout=30).json()
        known = (answer["apps"] or {}).get("app", [])
        return {app["id"]: app["state"] for app in known if app["id"] not in self._before}

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 600.0) -> None:
        """Wait for something to happen."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(self.log(worker)[-3000:] for worker in self.workers)
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{logs}")
            time.sleep(0.3)

    def __post_init__(self) -> None:
        self._before: set[str] = set()
        self._before = set(self.applications())

    def rows(self) -> list[dict[str, Any]]:
        """Return the published table, read without Spark."""
        import io

        import pyarrow.parquet as pq

        found: list[dict[str, Any]] = []
        for name in self.files.names("orders"):
            if name.endswith(".parquet"):
                data = self._bytes(f"orders/{name}")
                found += pq.read_table(io.BytesIO(data)).to_pylist()
        return sorted(found, key=lambda row: row["n"])

    def _bytes(self, path: str) -> bytes:
        files: Any = self.files
        found: bytes = files._tried(lambda fs, at: fs.cat_file(at), path)
        return found

    def left(self) -> dict[str, list[str]]:
        """Return what is left of claims, leases and reports."""
        kinds = ("claims", "leases", "reports", "leases.now")
        return {kind: self.files.names(f"_kindling/{kind}") for kind in kinds}


NOTHING: dict[str, list[str]] = {"claims": [], "leases": [], "reports": [], "leases.now": []}


@pytest.fixture(scope="module")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration folder of a running HDFS and YARN."""
    with Hadoop(tmp_path_factory.mktemp("hadoop")) as hadoop:
        yield hadoop.conf


@pytest.fixture
def shop(hadoop: Path, tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pipes.py").write_text(PIPES)
    assert main(["package", str(tmp_path / "project"), "-o", str(tmp_path / "shop.zip")]) == 0
    properties = hadoop_properties({"HADOOP_CONF_DIR": str(hadoop)})
    warehouse = f"{properties['fs.defaultFS']}/{tmp_path.name}"
    files = shared_files(warehouse, environment={"HADOOP_CONF_DIR": str(hadoop)})
    files.write("landing/in.json", '{"n":1}\n{"n":2}\n')
    (manager,) = resource_managers(properties)
    shop = Shop(tmp_path, hadoop, warehouse, files, manager)
    try:
        yield shop
    finally:
        for worker in shop.workers:
            worker.kill()
            worker.wait()
        for app, state in shop.applications().items():
            if state not in ("FINISHED", "FAILED", "KILLED"):
                url = f"{manager}/ws/v1/cluster/apps/{app}/state?user.name=root"
                requests.put(url, json={"state": "KILLED"}, timeout=30)


def test_a_pipe_publishes_and_its_report_and_prints_come_back(shop: Shop) -> None:
    shop.go_on()
    worker = shop.start()
    end = shop.end(worker)
    assert end["report"]["status"] == "published", shop.log(worker)[-3000:]
    assert end["report"]["application_id"] in shop.applications()
    assert "hello from the pipe" in shop.log(worker)
    assert shop.rows() == [{"n": 1, "by": "first"}, {"n": 2, "by": "first"}]
    assert shop.left() == NOTHING


def test_a_task_that_is_killed_takes_its_driver_with_it(shop: Shop) -> None:
    worker = shop.start()
    shop.until(shop.begun, "the pipe works")
    worker.send_signal(signal.SIGTERM)
    end = shop.end(worker)
    ((app, state),) = shop.applications().items()
    assert state == "KILLED"
    assert end["error"] == (
        "AirflowException: Pipe 'orders': the task was killed, and its driver with it (YARN "
        f"reports {app} as KILLED)."
    )
    assert shop.rows() == []
    assert shop.left() == NOTHING


@pytest.mark.cluster
def test_a_driver_that_survives_its_task_does_not_publish(shop: Shop) -> None:
    """Marked as failed: the log said 'its driver with it', and the driver went on and published."""
    worker = shop.start(deaf=True)
    shop.until(shop.begun, "the pipe works")
    worker.send_signal(signal.SIGTERM)
    error = shop.end(worker)["error"]
    ((app, state),) = shop.applications().items()
    assert state == "RUNNING"
    assert error == (
        "AirflowException: Pipe 'orders': the task was killed. Whether its driver has ended is not "
        f"known: YARN was asked to kill {app} and still reports it as RUNNING. Its claim is "
        "revoked: it does not publish."
    )
    shop.go_on()
    shop.until(lambda: shop.applications()[app] in ("FINISHED", "FAILED"), "the driver ends")
    assert shop.rows() == []


@pytest.mark.cluster
def test_the_next_try_of_a_lost_worker_takes_up_the_driver(shop: Shop) -> None:
    """Two drivers ran side by side."""
    lost = shop.start()
    shop.until(shop.begun, "the pipe works")
    lost.kill()
    lost.wait()
    worker = shop.start(by="second", try_number=2)
    shop.until(lambda: "Taking up application_" in shop.log(worker), "it is taken up")
    shop.go_on()
    assert shop.end(worker)["report"]["status"] == "published", shop.log(worker)[-3000:]
    assert shop.begun() == 1
    assert len(shop.applications()) == 1
    assert shop.rows() == [{"n": 1, "by": "first"}, {"n": 2, "by": "first"}]
    assert shop.left() == NOTHING


@pytest.mark.cluster
def test_what_a_driver_has_published_while_its_worker_was_lost_counts(shop: Shop) -> None:
    lost = shop.start(lease=900.0)
    shop.until(shop.begun, "the pipe works")
    lost.kill()
    lost.wait()
    shop.go_on()  # within the lease, however slow the machine is
    shop.until(
        lambda: set(shop.applications().values()) <= {"FINISHED", "FAILED"}, "the driver ends"
    )
    worker = shop.start(by="second", try_number=2)
    end = shop.end(worker)
    assert end["report"]["status"] == "published", shop.log(worker)[-3000:]
    assert shop.begun() == 1
    assert "finished its work while its task was lost" in shop.log(worker)
    assert "hello from the pipe" in shop.log(worker)
    assert shop.left() == NOTHING


@pytest.mark.cluster
def test_a_driver_that_nothing_watches_does_not_publish(shop: Shop) -> None:
    """The worker is lost, and no try follows: the task was marked meanwhile, or has no retries."""
    lost = shop.start(max_tries=0, lease=30.0)
    shop.until(shop.begun, "the pipe works")
    lost.kill()
    lost.wait()
    shop.until(lambda: not _is_fresh(shop), "the lease lapses")
    shop.go_on()
    ((app, _),) = shop.applications().items()
    shop.until(lambda: shop.applications()[app] in ("FINISHED", "FAILED"), "the driver ends")
    (report,) = shop.files.names("_kindling/reports")
    assert "because nothing has watched this driver for more than 60 s" in shop.files.read(
        f"_kindling/reports/{report}"
    )
    assert shop.rows() == []


def _is_fresh(shop: Shop) -> bool:
    """Return whether a lease was renewed within its 30 s; all clocks are this machine's."""
    url = shop.warehouse.replace("hdfs://", "")
    _, _, path = url.partition("/")
    namenode = hadoop_properties({"HADOOP_CONF_DIR": str(shop.conf_dir)})[
        "dfs.namenode.http-address"
    ]
    answer = requests.get(
        f"http://{namenode}/webhdfs/v1/{path}/_kindling/leases?op=LISTSTATUS", timeout=30
    ).json()
    times = [item["modificationTime"] for item in answer["FileStatuses"]["FileStatus"]]
    return time.time() - max(times) / 1000 < 32
