"""Databases as sources: a SQLite database, by its own JDBC driver."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import kindling_airflow
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import Connection, variable_name
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.jdbc import JdbcProvider
from tests.runner.conftest import Project
from tests.runner.jars import SQLITE_JDBC, jar

pytestmark = pytest.mark.system

SECRET = "s3cret-canary"


@pytest.fixture
def database(spark: Any, tmp_path: Path) -> Path:
    """A database with six orders; its driver is there."""
    spark.sql(f"ADD JAR '{jar(SQLITE_JDBC)}'")
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER, customer TEXT, amount DOUBLE)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?)",
            [(n, f"c{n % 2}", n * 1.5) for n in range(6)],
        )
    return path


def read(spark: Any, tags: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Any:
    """Return what a jdbc entity holds."""
    provider = JdbcProvider(ProviderContext(spark, "/nowhere", environment=environment or {}))
    return provider.read(entity(tags))


def entity(tags: Mapping[str, Any]) -> EntityMetadata:
    return EntityMetadata("shop.orders", tags={"provider_type": "jdbc", **tags})


def url(database: Path) -> str:
    return f"jdbc:sqlite:{database}"


def plan_of(frame: Any) -> str:
    return str(frame._jdf.queryExecution().executedPlan().toString())


def test_a_pipe_reads_a_table_of_a_database(project: Project, database: Path) -> None:
    tags = {"provider.url": url(database), "provider.table": "orders"}
    project.entity("orders", tags={"provider_type": "jdbc", **tags})
    project.pipe("out", lambda orders: orders.filter("amount > 5"), "orders")
    report = project.run("out")
    assert (report.status, report.rows_written, report.error) == ("published", 2, None)
    assert [(i.entity_id, i.rows) for i in report.inputs] == [("orders", None)]
    assert project.rows("out") == [(4, "c0", 6.0), (5, "c1", 7.5)]


def test_columns_and_filters_are_pushed_down(spark: Any, database: Path) -> None:
    table = read(spark, {"provider.url": url(database), "provider.table": "orders"})
    frame = table.filter("id = 4").select("amount")
    assert [tuple(row) for row in frame.collect()] == [(6.0,)]
    plan = plan_of(frame)
    assert "EqualTo(id,4)" in plan
    assert "customer" not in plan


def test_a_query_is_answered_by_the_database(spark: Any, database: Path) -> None:
    query = "SELECT customer, count(*) AS n FROM orders WHERE glob('c*', customer) GROUP BY 1"
    frame = read(spark, {"provider.url": url(database), "provider.query": query})
    assert sorted((row["customer"], int(row["n"])) for row in frame.collect()) == [
        ("c0", 3),
        ("c1", 3),
    ]


@pytest.mark.parametrize(
    "what", [{"provider.table": "orders"}, {"provider.query": "SELECT * FROM orders"}]
)
def test_a_table_or_a_query_is_read_in_parts(
    spark: Any, database: Path, what: dict[str, str]
) -> None:
    parts = {"partitionColumn": "id", "lowerBound": 0, "upperBound": 6, "numPartitions": 3}
    options = {f"provider.option.{name}": value for name, value in parts.items()}
    frame = read(spark, {"provider.url": url(database), **what, **options})
    assert frame.rdd.getNumPartitions() == 3
    assert sorted(row["id"] for row in frame.collect()) == list(range(6))


def test_a_connection_brings_the_database_and_the_account(spark: Any, database: Path) -> None:
    connection = Connection("sqlite", host=str(database), login="me", password=SECRET)
    tags = {"provider.connection": "shop db", "provider.table": "orders"}
    frame = read(spark, tags, {variable_name("shop db"): connection.dumps()})
    assert frame.count() == 6
    airflows = {"AIRFLOW_CONN_SHOP DB": f"jdbc://:{SECRET}@{quote(url(database), safe='')}"}
    assert read(spark, tags, airflows).count() == 6


def test_the_report_and_errors_say_where_without_a_secret(
    spark: Any, database: Path, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = f"{url(database)}?password={SECRET}"
    connection = Connection(
        "jdbc", whole, login="me", password=SECRET, extra={"jdbc_options": {"pragma": SECRET}}
    )
    monkeypatch.setenv(variable_name("shop"), connection.dumps())
    tags = {"provider_type": "jdbc", "provider.connection": "shop", "provider.table": "no_such"}
    project.entity("orders", tags=tags)
    project.pipe("out", lambda orders: orders, "orders")
    report = project.run("out")
    assert report.error is not None
    assert report.error.message == (
        f"entity 'orders': cannot be read from {url(database)!r}: org.sqlite.SQLiteException: "
        "[SQLITE_ERROR] SQL error or missing database (no such table: no_such)\n"
        "  Fix: check the table and the account, that the driver can reach the database, and that "
        "'org.sqlite.JDBC' is in spark.jars."
    )
    assert SECRET not in json.dumps(report.to_json())


@pytest.mark.parametrize(
    "tags",
    [
        {"provider.table": "no_such"},
        {"provider.query": "SELEC 1"},
        {"provider.query": "SELECT nothing FROM orders"},
    ],
)
def test_what_a_database_does_not_take_is_not_asked_again(
    project: Project, database: Path, tags: dict[str, str]
) -> None:
    project.entity("orders", tags={"provider_type": "jdbc", "provider.url": url(database), **tags})
    project.pipe("out", lambda orders: orders, "orders")
    assert project.run("out").extra["permanent"] is True


def test_a_database_that_is_not_there_may_come(project: Project, tmp_path: Path) -> None:
    nowhere = f"jdbc:sqlite:{tmp_path / 'no' / 'such' / 'shop.db'}"
    tags = {"provider_type": "jdbc", "provider.url": nowhere, "provider.table": "orders"}
    project.entity("orders", tags=tags)
    project.pipe("out", lambda orders: orders, "orders")
    report = project.run("out")
    assert (report.status, report.extra["permanent"]) == ("failed", False)


def test_a_missing_driver_says_how_to_have_it(spark: Any) -> None:
    with pytest.raises(EntityError) as raised:
        read(spark, {"provider.url": "jdbc:postgresql://localhost:1/x", "provider.table": "t"})
    assert str(raised.value) == (
        "entity 'shop.orders': cannot be read from 'jdbc:postgresql://localhost:1/x': "
        "java.lang.ClassNotFoundException: org.postgresql.Driver\n"
        "  Fix: check the table and the account, that the driver can reach the database, and that "
        "'org.postgresql.Driver' is in spark.jars."
    )
    with pytest.raises(EntityError, match=r"set the JDBC driver's class \(provider\.driver\)"):
        read(spark, {"provider.url": "jdbc:unheard:of", "provider.table": "t"})


@pytest.mark.parametrize(
    ("connection", "shown"),
    [
        (Connection("postgres", "h", 5432, "shop"), "jdbc:postgresql://h:5432/shop"),
        (Connection("mysql", "h", None, "shop"), "jdbc:mysql://h/shop"),
        (Connection("mssql", "h", 1433, "shop"), "jdbc:sqlserver://h:1433"),
        (Connection("oracle", "h", 1521, "shop"), "jdbc:oracle:thin:@//h:1521/shop"),
        (Connection("sqlite", "/data/shop.db"), "jdbc:sqlite:/data/shop.db"),
        (Connection("sqlite", schema="data/shop.db"), "jdbc:sqlite:/data/shop.db"),
        (Connection("jdbc", f"jdbc:x://me:{SECRET}@h/shop?a=b"), "jdbc:x://h/shop"),
        (Connection("jdbc", f"jdbc:oracle:thin:me/{SECRET}@//h/x"), "jdbc:oracle:thin:@//h/x"),
        (Connection("jdbc", f"jdbc:sqlserver://h;password={SECRET}"), "jdbc:sqlserver://h"),
    ],
)
def test_a_database_is_described_without_its_account(
    spark: Any, connection: Connection, shown: str
) -> None:
    context = ProviderContext(
        spark, "/nowhere", environment={variable_name("shop"): connection.dumps()}
    )
    tags = {"provider.connection": "shop", "provider.table": "orders"}
    said = JdbcProvider(context).describe(entity(tags))
    assert said.to_json() == {"location": shown, "format": "jdbc", "table": "orders"}


def test_a_connection_of_another_kind_needs_a_url(spark: Any) -> None:
    connection = Connection("http", "h", password=SECRET)
    environment = {variable_name("shop"): connection.dumps()}
    with pytest.raises(EntityError) as raised:
        read(spark, {"provider.connection": "shop", "provider.table": "t"}, environment)
    assert str(raised.value) == (
        "entity 'shop.orders': no JDBC URL can be derived from its connection of type "
        "'http'\n"
        "  Fix: set provider.url, or use one of the types mssql, mysql, oracle, postgres, "
        "sqlite, or 'jdbc' with the full URL as its host."
    )


def test_columns_that_are_not_those_declared_are_an_error(project: Project, database: Path) -> None:
    tags = {"provider_type": "jdbc", "provider.url": url(database), "provider.table": "orders"}
    project.entity("orders", tags=tags, schema="id BIGINT, client STRING, amount DOUBLE")
    project.pipe("out", lambda orders: orders, "orders")
    error = project.run("out").error
    assert error is not None
    assert error.message == (
        "entity 'orders': the stored columns do not match its declared schema\n"
        "  - column 'id' is int, declared as bigint\n"
        "  - column 'client' (string) is missing\n"
        "  - column 'customer' (string) is not declared\n"
        "  Fix: correct the declared schema, or rewrite the entity; extra columns can be ignored "
        "with provider.extra_columns: ignore."
    )


def test_columns_that_are_too_many_can_be_left_out(project: Project, database: Path) -> None:
    tags = {"provider_type": "jdbc", "provider.url": url(database), "provider.table": "orders"}
    project.entity(
        "orders",
        tags={**tags, "provider.extra_columns": "ignore"},
        schema="amount DOUBLE, id INT NOT NULL",
    )
    project.pipe("out", lambda orders: orders.filter("id = 1"), "orders")
    assert project.run("out").error is None
    assert project.spark.read.parquet(str(project.table("out"))).columns == ["amount", "id"]
    assert project.rows("out") == [(1.5, 1)]


PIPES = """
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="orders",
    tags={
        "provider_type": "jdbc",
        "provider.connection": "shop",
        "provider.table": "orders",
    },
)


@DataPipes.pipe(pipeid="out", input_entity_ids=["orders"], output_entity_id="out")
def out(orders):
    print(orders._jdf.queryExecution().toString())
    return orders.filter("id > 3")
"""


def test_a_secret_is_in_nothing_that_a_driver_leaves_behind(tmp_path: Path) -> None:
    """A real driver, with the log that the Spark UI and the history server are made from."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.executemany("INSERT INTO orders VALUES (?)", [(n,) for n in range(6)])
    for name in ("project", "events"):
        (tmp_path / name).mkdir()
    (tmp_path / "project" / "pipes.py").write_text(PIPES)
    request = RunRequest(
        "key", "out", str(tmp_path / "project"), ("pipes",), str(tmp_path / "warehouse")
    )
    connection = Connection("sqlite", str(tmp_path / "shop.db"), login="me", password=SECRET)
    settings = {
        "spark.master": "local[1]",
        "spark.jars": str(jar(SQLITE_JDBC)),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.dir": str(tmp_path / "events"),
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.port": "0",
    }
    submit = Path(sys.executable).parent / "spark-submit"
    ran = subprocess.run(
        [
            str(submit),
            *(word for pair in settings.items() for word in ("--conf", "=".join(pair))),
            str(Path(kindling_airflow.__file__).parent / "runner" / "main.py"),
            request.dumps(),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            variable_name("shop"): connection.dumps(),
        },
    )
    assert ran.returncode == 0, ran.stdout
    assert '"rows_written":2' in ran.stdout
    events = "".join(p.read_text() for p in (tmp_path / "events").rglob("*") if p.is_file())
    assert "JDBCRelation" in ran.stdout
    assert "SparkListenerApplicationEnd" in events
    assert SECRET not in ran.stdout
    assert SECRET not in events
    for path in (tmp_path / "warehouse").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
