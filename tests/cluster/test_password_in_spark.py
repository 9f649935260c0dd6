"""A catalog's password is in nothing that Spark keeps or shows: its UI, REST API, event log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.services import Postgres
from kindling_airflow.protocol.connections import Connection, variable_name

pytestmark = [pytest.mark.system, pytest.mark.cluster]

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "hidden-word-4711"
PROGRAM = """\
import json, os, sys, urllib.request
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.tables.catalogs import catalog_settings
from tests.runner.formats.sessions import session_for

events, warehouse = sys.argv[1:]
tags = {"provider_type": "iceberg", "provider.catalog": "lake", "provider.connection": "catalog"}
entity = EntityMetadata("shop.orders", tags=tags)
conf = catalog_settings([entity], os.environ, warehouse, lambda _key: None)
spark = session_for("iceberg+postgresql", {
    **conf,
    "spark.ui.enabled": "true",
    "spark.ui.port": "0",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.dir": "file:" + events,
})
case = Case(spark, warehouse, tags, "shop.orders")
case.publish(case.entity(), spark.range(3))
case.publish(case.entity(), spark.range(3).selectExpr("id", "1 AS other"), "b")
assert case.numbers(case.entity()) == [0, 1, 2]
ui = spark.sparkContext.uiWebUrl
app = f"{ui}/api/v1/applications/{spark.sparkContext.applicationId}"
shown = {}
for url in (
    *(f"{ui}/{page}/" for page in ("environment", "jobs", "stages", "SQL", "storage", "executors")),
    *(f"{ui}/SQL/execution/?id={number}" for number in range(4)),
    *(f"{app}/{name}" for name in ("environment", "jobs", "stages", "sql", "executors")),
):
    with urllib.request.urlopen(url, timeout=60) as answer:
        shown[url.removeprefix(ui)] = answer.read().decode()
spark.stop()
print(json.dumps(shown))
"""


def test_neither_the_ui_nor_the_event_log_has_it(tmp_path: Path) -> None:
    events = tmp_path / "events"
    events.mkdir()
    with Postgres(tmp_path / "postgres") as database:
        database.create_database("lake")
        connection = Connection(
            conn_type="postgres",
            host="127.0.0.1",
            port=database.port,
            schema="lake",
            login=database.user,
            password=PASSWORD,
        )
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(events), str(tmp_path / "lake")],
            env={**os.environ, variable_name("catalog"): connection.dumps()},
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert ran.returncode == 0, ran.stderr[-5000:]
    shown = json.loads(ran.stdout.splitlines()[-1])
    key = "spark.sql.catalog.lake.jdbc.password"
    assert key in shown["/environment/"]
    assert "redacted" in shown["/environment/"]
    logs = {path.name: path.read_text() for path in events.rglob("*") if path.is_file()}
    assert any(key in text for text in logs.values())
    for where, text in {**shown, **logs, "stderr": ran.stderr}.items():
        assert PASSWORD not in text, where
