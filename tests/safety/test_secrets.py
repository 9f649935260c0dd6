"""Secrets in Spark settings and connections: the driver has them, and nothing else shows them."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from kindling_airflow.protocol.contracts import REPORT_MARKER

S3_KEY, ACCOUNT_KEY, TOKEN = "s3cr3t-4711-s3", "acc0unt-0815-key", "t0ken-2342-env"
OVERRIDDEN, PASSWORD = "0verridden-9-secret", "passw0rd-in-conn"
SECRETS = (S3_KEY, ACCOUNT_KEY, TOKEN, OVERRIDDEN, PASSWORD)

DEFINITION = f"""\
dag_id: shop
project: project
spark:
  conf:
    spark.hadoop.fs.s3a.secret.key: {S3_KEY}
    spark.hadoop.fs.azure.account.key.lake: {ACCOUNT_KEY}
    spark.executor.memory: 2g
  env_vars:
    LAKE_TOKEN: {TOKEN}
overrides:
  b:
    spark:
      conf:
        spark.hadoop.fs.s3a.secret.key: {OVERRIDDEN}
"""
PIPES = """\
from kindling_airflow import DataPipes

@DataPipes.pipe("a", input_entity_ids=[], output_entity_id="a")
def a(): ...

@DataPipes.pipe("b", input_entity_ids=["a"], output_entity_id="b")
def b(a): ...
"""


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    document = {"conn_type": "spark", "host": "local[1]", "login": "me", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(document))


@pytest.fixture
def compiled(tmp_path: Path) -> Compiled:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pipes.py").write_text(PIPES)
    path = tmp_path / "shop.kindling.yaml"
    path.write_text(DEFINITION)
    return compile_definition(Definition.from_file(path))


@pytest.fixture
def dag(compiled: Compiled) -> DAG:
    return build_dag(compiled)


def _found(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def test_manifest_and_plan_have_no_secret(compiled: Compiled) -> None:
    assert _found(compiled.base.dumps() + compiled.manifest.dumps()) == []
    assert _found(json.dumps(compiled.plan.to_json())) == []


def test_the_dag_as_airflow_stores_it_has_no_secret(dag: DAG) -> None:
    text = json.dumps(DagSerialization.to_dict(dag))
    assert "2g" in text
    assert _found(text) == []


def test_what_is_printed_of_a_task_has_no_secret(dag: DAG) -> None:
    for task in dag.tasks:
        assert _found(repr(task) + str(task) + str(task.conf) + str(task.env_vars)) == []


DRIVER = f"""#!{sys.executable}
import json, os, sys
request = json.loads(sys.argv[-1])
with open({{path!r}}, "w") as file:
    json.dump([sys.argv[1:], os.environ.get("LAKE_TOKEN")], file)
print(" ".join(sys.argv[1:]), os.environ["LAKE_TOKEN"])
print("{REPORT_MARKER}" + json.dumps({{{{"version": 1, "attempt_key": request["attempt_key"],
    "pipe_id": request["pipe_id"], "status": "published", "output_entity_id": "b",
    "rows_written": 1}}}}), flush=True)
"""


def test_the_driver_gets_what_nobody_else_is_told(
    dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The driver even prints what it got; Airflow would mask that in one of two logs."""
    binary = tmp_path / "bin" / "spark-submit"
    binary.parent.mkdir()
    binary.write_text(DRIVER.format(path=str(tmp_path / "got")))
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{binary.parent}{os.pathsep}{os.environ['PATH']}")
    task: Any = dag.get_task("b")
    task.render_template_fields({}, dag.get_template_env())
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="shop", run_id="r", task_id="b", try_number=1, xcom_push=pushed.__setitem__
    )
    events: Any = defaultdict(lambda: SimpleNamespace(extra={}))
    task.execute({"ti": ti, "dag_run": SimpleNamespace(), "outlet_events": events})
    arguments, token = json.loads((tmp_path / "got").read_text())
    assert f"spark.hadoop.fs.s3a.secret.key={OVERRIDDEN}" in arguments
    assert f"spark.hadoop.fs.azure.account.key.lake={ACCOUNT_KEY}" in arguments
    assert token == TOKEN
    assert _found(arguments[-1]) == []  # the request itself
    assert _found(json.dumps(pushed) + repr(events)) == []
    printed = "".join(capfd.readouterr())
    assert "spark.hadoop.fs.azure.account.key.lake=***" in printed
    assert _found(printed) == []


def test_a_definition_that_is_wrong_does_not_tell_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / "shop.kindling.yaml"
    wrong = DEFINITION.replace("dag_id: shop", "dag_id: shop\nretries: many").replace(
        f"secret.key: {S3_KEY}", f"secret.key: [{S3_KEY}]"
    )
    path.write_text(wrong)
    with pytest.raises(DefinitionError) as caught:
        Definition.from_file(path)
    assert "retries" in str(caught.value)
    assert _found(str(caught.value)) == []
