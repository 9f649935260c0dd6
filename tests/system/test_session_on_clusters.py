"""A session of a packaged project on real clusters in client mode: Spark standalone, and YARN."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.local_airflow import LocalAirflow
from demo.services.hadoop import Hadoop
from kindling_airflow.cli.main import main
from kindling_airflow.operators.driver.shared_files import shared_files
from tests.system.standalone import standalone_cluster

pytestmark = [pytest.mark.system, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]
SESSION = "kindling_session_run"
PIPES = """\
import os

from kindling_airflow import DataEntities, DataPipes

from shop import rules

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "json", "provider.path": "landing/in.json"},
    schema="n BIGINT",
)


def pipe(name, *inputs):
    return DataPipes.pipe(name, input_entity_ids=list(inputs), output_entity_id=name)


@pipe("orders", "raw.orders")
def orders(raw_orders):
    from pyspark.sql import functions as F

    print(f"orders runs in process {os.getpid()}", flush=True)
    double = F.udf(rules.double, "bigint")
    place = F.udf(rules.where_imported, "string")
    return raw_orders.select(double("n").alias("n"), place("n").alias("imported_from"))


@pipe("sums", "orders")
def sums(orders):
    print(f"sums runs in process {os.getpid()}", flush=True)
    return orders.selectExpr("sum(n) AS n", "min(imported_from) AS imported_from")


@pipe("counts", "orders")
def counts(orders):
    print(f"counts runs in process {os.getpid()}", flush=True)
    return orders.selectExpr("count(*) AS n", "min(imported_from) AS imported_from")
"""
RULES = """\
def double(n):
    return 2 * n


def where_imported(_):
    return __file__
"""
NAMES = ("orders", "sums", "counts")


@contextmanager
def _airflow(
    folder: Path, warehouse: str, master: str, conf: Mapping[str, Any], **environment: str
) -> Iterator[LocalAirflow]:
    """Run an Airflow with the project; its source is not where the drivers could find it."""
    dags = folder / "dags"
    (dags / "project" / "shop").mkdir(parents=True)
    (dags / "project" / "shop" / "__init__.py").touch()
    (dags / "project" / "shop" / "pipes.py").write_text(PIPES)
    (dags / "project" / "shop" / "rules.py").write_text(RULES)
    (dags / "kindling_dags.py").write_text((ROOT / "dags" / "kindling_dags.py").read_text())
    assert main(["package", str(dags / "project"), "-o", str(dags / "shop.zip")]) == 0
    definition = {
        "dag_id": "shop",
        "project": "project",
        "package": "shop.zip",
        "warehouse": warehouse,
        "width": 2,
        "session": "run",
        "spark": {"num_executors": 1, "executor_memory": "512m", "conf": dict(conf)},
    }
    (dags / "shop.kindling.yaml").write_text(json.dumps(definition))
    assert main(["compile", str(dags / "shop.kindling.yaml")]) == 0
    with LocalAirflow(
        folder / "home",
        dags_folder=dags,
        warehouse=folder,
        environment={
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_HOSTNAME": "localhost",
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": master}),
            "AIRFLOW__KINDLING__SHARED_WAREHOUSE": "True",
            **environment,
        },
    ) as airflow:
        yield airflow


def _run(airflow: LocalAirflow) -> dict[str, Any]:
    """Run the DAG; return the reports of its pipes, all of one driver and of the first tries."""
    api = airflow.api
    api.wait_for_dag("shop")
    api.unpause("shop")
    run = api.trigger("shop", "run")
    state = api.wait_for_run("shop", run)
    logs = {name: api.log("shop", run, name) for name in (*NAMES, SESSION)}
    assert state == "success", "\n".join(f"{n}:\n{text[-3000:]}" for n, text in logs.items())
    tries = {i["task_id"]: (i["state"], i["try_number"]) for i in api.task_instances("shop", run)}
    assert tries == dict.fromkeys((*NAMES, SESSION), ("success", 1))
    said = [logs[name].partition(f"{name} runs in process ")[2].split()[0] for name in NAMES]
    assert len(set(said)) == 1
    for name in NAMES:
        assert f"Session '{SESSION}' runs this pipe." in logs[name]
    return {name: api.xcom("shop", run, name, "kindling_report") for name in NAMES}


def test_a_session_on_a_standalone_cluster(tmp_path: Path, spark_profile: str) -> None:
    warehouse = tmp_path / "warehouse"
    (warehouse / "landing").mkdir(parents=True)
    (warehouse / "landing" / "in.json").write_text('{"n":1}\n{"n":4}\n')
    conf = {"spark.executor.extraJavaOptions": spark_profile}
    with (
        standalone_cluster(tmp_path, spark_profile) as master,
        _airflow(tmp_path, str(warehouse), master, conf) as airflow,
    ):
        reports = _run(airflow)
    assert {r["application_id"][:4] for r in reports.values()} == {"app-"}
    assert len({r["application_id"] for r in reports.values()}) == 1
    import duckdb

    rows = duckdb.sql(f"SELECT n, imported_from FROM '{warehouse}/orders/*.parquet' ORDER BY n")
    assert rows.fetchall() == [(2, "./shop.zip/shop/rules.py"), (8, "./shop.zip/shop/rules.py")]
    assert duckdb.sql(f"SELECT n FROM '{warehouse}/sums/*.parquet'").fetchall() == [(10,)]


def test_a_session_on_yarn_in_client_mode(tmp_path: Path) -> None:
    with Hadoop(tmp_path / "hadoop") as hadoop:
        warehouse = f"{hadoop.url}/warehouse"
        files = shared_files(warehouse, environment=hadoop.environment())
        files.write("landing/in.json", '{"n":1}\n{"n":4}\n')
        with _airflow(
            tmp_path, warehouse, "yarn", hadoop.spark_settings(), **hadoop.environment()
        ) as airflow:
            reports = _run(airflow)
        [application] = hadoop.applications()
        assert (application["finalStatus"], application["name"]) == ("SUCCEEDED", "session run")
        assert {r["application_id"] for r in reports.values()} == {application["id"]}
        assert {name: r["rows_written"] for name, r in reports.items()} == {
            "orders": 2,
            "sums": 1,
            "counts": 1,
        }
        for name in NAMES:
            assert [n for n in files.names(name) if n.endswith(".parquet")]
