"""A packaged project on a real cluster: Spark's standalone master and worker, client mode."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory import kindling_dag
from tests.system.standalone import standalone_cluster

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


@pytest.fixture
def master(tmp_path: Path, spark_profile: str) -> Iterator[str]:
    """The address of a cluster of one worker."""
    with standalone_cluster(tmp_path, spark_profile) as address:
        yield address


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
