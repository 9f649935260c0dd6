"""A packaged project on a real cluster: Spark's standalone master and worker, client mode."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import psutil
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory import kindling_dag

pytestmark = pytest.mark.system

PIPES = """\
import csv
from pathlib import Path

from kindling_airflow import DataEntities, DataPipes

from shop import rules

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "csv", "provider.path": "orders.csv"},
    schema="id BIGINT, currency STRING, amount DOUBLE",
)


@DataPipes.pipe("orders", input_entity_ids=["raw.orders"], output_entity_id="orders")
def orders(raw_orders):
    from pyspark.sql import functions as F

    with (Path(__file__).parent / "rates.csv").open() as lines:
        rates = {name: float(rate) for name, rate in csv.reader(lines)}
    in_euro = F.udf(lambda currency, amount: rules.in_euro(rates, currency, amount), "double")
    place = F.udf(rules.where_imported, "string")
    return raw_orders.select(
        "id", in_euro("currency", "amount").alias("euro"), place("id").alias("imported_from")
    )
"""
RULES = """\
def in_euro(rates, currency, amount):
    return amount * rates[currency]


def where_imported(_):
    return __file__
"""


@contextmanager
def _daemon(
    name: str, *arguments: str, log: Path, options: str, said: str
) -> Iterator[re.Match[str]]:
    """Run one of Spark's daemons; yields what its log says when it is up, ends it by its id."""
    from pyspark import find_spark_home

    home = find_spark_home._find_spark_home()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [f"{home}/bin/spark-class", f"org.apache.spark.deploy.{name}", *arguments],
            cwd=log.parent,
            env={
                **os.environ,
                "SPARK_DAEMON_JAVA_OPTS": options,
                "SPARK_DAEMON_MEMORY": "256m",
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 60
        while (found := re.search(said, log.read_text())) is None:
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.1)
        yield found
    finally:
        family = [process, *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            member.terminate()
        process.wait(30)
        psutil.wait_procs(family[1:], timeout=30)  # type: ignore[arg-type]


@pytest.fixture
def master(tmp_path: Path, spark_profile: str) -> Iterator[str]:
    """The address of a cluster of one worker."""
    places = ("--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
    with (
        _daemon(
            "master.Master",
            *places,
            log=tmp_path / "master.log",
            options=spark_profile,
            said=r"Starting Spark master at (spark://\S+)",
        ) as started,
        _daemon(
            "worker.Worker",
            *places,
            *("--cores", "1", "--memory", "1g", "--work-dir", str(tmp_path / "work"), started[1]),
            log=tmp_path / "worker.log",
            options=spark_profile,
            said="Successfully registered with master",
        ),
    ):
        yield started[1]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    (folder / "project" / "shop").mkdir(parents=True)
    (folder / "project" / "shop" / "__init__.py").touch()
    (folder / "project" / "shop" / "pipes.py").write_text(PIPES)
    (folder / "project" / "shop" / "rules.py").write_text(RULES)
    (folder / "project" / "shop" / "rates.csv").write_text("EUR,1.0\nUSD,0.5\n")
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "orders.csv").write_text("id,currency,amount\n1,EUR,3\n2,USD,10\n")
    assert main(["package", str(folder / "project"), "-o", str(folder / "shop.zip")]) == 0
    return folder


def test_executors_of_a_cluster_import_the_project_from_its_package(
    shop: Path, master: str, spark_profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_SPARK_CLUSTER", f'{{"conn_type": "spark", "host": "{master}"}}'
    )
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE", "light")
    dag = kindling_dag(
        shop,
        dag_id="shop",
        project="project",
        package="shop.zip",
        warehouse=str(tmp_path / "warehouse"),
        spark={
            "conn_id": "spark_cluster",
            "executor_memory": "512m",
            "conf": {
                "spark.ui.enabled": False,
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
                "spark.sql.shuffle.partitions": 2,
                "spark.executor.extraJavaOptions": spark_profile,
                "spark.pyspark.python": sys.executable,
            },
        },
    )
    # Neither driver nor executor can get at the project itself: it is there in the package alone.
    (shop / "project").rename(tmp_path / "away")
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="shop", run_id="run", task_id="orders", try_number=1, xcom_push=pushed.__setitem__
    )
    events = defaultdict(lambda: SimpleNamespace(extra={}))
    context: Any = {"ti": ti, "dag_run": SimpleNamespace(), "outlet_events": events}
    # The executors may run on other machines, each with its own disk.
    with pytest.raises(AirflowException, match=r"to .*, a local disk, and the executors"):
        copy(dag.get_task("orders")).execute(context)
    assert not (tmp_path / "warehouse" / "orders").exists()
    monkeypatch.setenv("AIRFLOW__KINDLING__SHARED_WAREHOUSE", "True")
    report = dag.get_task("orders").execute(context)
    assert (report["status"], report["rows_written"]) == ("published", 2)
    assert report["application_id"].startswith("app-")  # of a cluster; local ones are 'local-...'
    rows = duckdb.sql(
        f"SELECT id, euro, imported_from FROM '{tmp_path}/warehouse/orders/*.parquet' ORDER BY id"
    ).fetchall()
    assert [row[:2] for row in rows] == [(1, 3.0), (2, 5.0)]
    # In the folder that the worker has made for the application, which has it from the driver.
    assert {row[2] for row in rows} == {"./shop.zip/shop/rules.py"}
