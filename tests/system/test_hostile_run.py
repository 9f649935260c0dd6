"""Hostile ids and secrets on a real Airflow: what it keeps and answers has none of the secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.local_airflow import LocalAirflow
from kindling_airflow.common.path_names import escape_component
from kindling_airflow.translator import task_id
from tests.system.conftest import PROFILES

pytestmark = pytest.mark.system

RUN = "hostile"
FIRST = "--conf spark.driver.memory=1\n$(touch injected) `touch injected` '\"; {{ 1 / 0 }}"
SECOND = "../../../outside/Zoë.注文.🔥/" + "x" * 440
FAILING = "telling"

IN_DEFINITION, IN_ENVIRONMENT = "s3cr3t-4711-literal", "t0ken-2342-environment"
IN_CONNECTION, IN_PASSWORD = "passw0rd-0815-rendered", "passw0rd-9999-of-spark"
SECRETS = (IN_DEFINITION, IN_ENVIRONMENT, IN_CONNECTION, IN_PASSWORD)

PIPES = f"""\
import os
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw", tags={{"provider_type": "csv", "provider.path": "rows.csv"}}, schema="id BIGINT"
)


def passed_on(**inputs):
    return next(iter(inputs.values()))


DataPipes.pipe({FIRST!r}, input_entity_ids=["raw"], output_entity_id={FIRST!r})(passed_on)
DataPipes.pipe({SECOND!r}, input_entity_ids=[{FIRST!r}], output_entity_id={SECOND!r})(passed_on)


@DataPipes.pipe({FAILING!r}, input_entity_ids=["raw"], output_entity_id={FAILING!r})
def telling(raw, run):
    conf = run.spark.sparkContext.getConf()
    said = [conf.get("spark.hadoop.fs.s3a.secret.key"), conf.get("spark.hadoop.lake.password")]
    said.append(os.environ["LAKE_TOKEN"])
    print("the pipe prints", *said)
    run.logger.warning("the pipe logs %s", said)
    raise ValueError(f"the pipe tells {{said}}")
"""
DEFINITION = f"""\
dag_id: hostile
project: project
width: 2
spark:
  conf:
    spark.hadoop.fs.s3a.secret.key: {IN_DEFINITION}
    spark.hadoop.fs.azure.account.key.lake: {IN_DEFINITION}-of-azure
    spark.hadoop.lake.password: "{{{{ conn.lake.password }}}}"
  env_vars:
    LAKE_TOKEN: {IN_ENVIRONMENT}
"""
FACTORY = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""


@dataclass(frozen=True)
class Ended:
    """The deployment after the run."""

    airflow: LocalAirflow
    folder: Path

    def answer(self, path: str) -> str:
        """Return what the API answers."""
        token = httpx.get(f"{self.airflow.url}/auth/token").json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        found = httpx.get(f"{self.airflow.url}{path}", headers=headers, timeout=60)
        assert found.status_code == httpx.codes.OK, (path, found.text)
        return found.text


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, spark_profile: str) -> Iterator[Ended]:
    folder = tmp_path_factory.mktemp("hostile")
    dags, warehouse = folder / "dags", folder / "warehouse"
    (dags / "project").mkdir(parents=True)
    (dags / "project" / "pipes.py").write_text(PIPES, encoding="utf-8")
    (dags / "hostile.kindling.yaml").write_text(DEFINITION)
    (dags / "dags.py").write_text(FACTORY)
    warehouse.mkdir()
    (warehouse / "rows.csv").write_text("id\n1\n2\n")
    connections: dict[str, Any] = {
        "SPARK_DEFAULT": {"conn_type": "spark", "host": "local[1]", "password": IN_PASSWORD},
        "LAKE": {"conn_type": "generic", "host": "lake", "password": IN_CONNECTION},
    }
    variables = {f"AIRFLOW_CONN_{name}": json.dumps(said) for name, said in connections.items()}
    airflow = LocalAirflow(
        folder / "airflow",
        dags_folder=dags,
        warehouse=warehouse,
        profile=PROFILES,
        environment=variables,
    )
    with airflow:
        airflow.api.wait_for_dag("hostile")
        airflow.api.unpause("hostile")
        airflow.api.trigger("hostile", RUN)
        assert airflow.api.wait_for_run("hostile", RUN) == "failed"
        yield Ended(airflow, folder)


def test_hostile_pipes_run_like_any_other(ended: Ended) -> None:
    states = {i["task_id"]: i["state"] for i in ended.airflow.api.task_instances("hostile", RUN)}
    assert states == {
        task_id(FIRST): "success",
        task_id(SECOND): "success",
        FAILING: "failed",
    }
    reports = [
        ended.airflow.api.xcom("hostile", RUN, task_id(id_), "kindling_report")
        for id_ in (FIRST, SECOND)
    ]
    assert [report["pipe_id"] for report in reports] == [FIRST, SECOND]
    assert [report["rows_written"] for report in reports] == [2, 2]


def test_nothing_lies_outside_the_warehouse(ended: Ended) -> None:
    tables = {escape_component(FIRST), escape_component(SECOND), "rows.csv", "_kindling"}
    assert {path.name for path in (ended.folder / "warehouse").iterdir()} == tables
    assert {path.name for path in ended.folder.iterdir()} == {"airflow", "dags", "warehouse"}
    assert not list(ended.folder.rglob("injected"))


def test_what_failed_is_told_without_the_secrets(ended: Ended) -> None:
    log = ended.airflow.api.log("hostile", RUN, FAILING)
    assert "the pipe prints ***" in log
    assert "the pipe tells" in log
    assert [secret for secret in SECRETS if secret in log] == []


def test_no_answer_of_the_api_has_a_secret(ended: Ended) -> None:
    run = f"/api/v2/dags/hostile/dagRuns/{RUN}"
    paths = [
        "/api/v2/dags/hostile/details",
        "/api/v2/dags/hostile/tasks",
        "/api/v2/dagSources/hostile",
        f"{run}/taskInstances",
        f"{run}/taskInstances/{FAILING}",
        f"{run}/taskInstances/{FAILING}/xcomEntries",
        f"{run}/taskInstances/{FAILING}/xcomEntries/kindling_report",
    ]
    answers = {path: ended.answer(path) for path in paths}
    told = {path: secret for path, text in answers.items() for secret in SECRETS if secret in text}
    assert told == {}
    rendered = json.loads(answers[f"{run}/taskInstances/{FAILING}"])["rendered_fields"]
    assert rendered["conf"] == {
        "spark.hadoop.fs.s3a.secret.key": "***",
        "spark.hadoop.fs.azure.account.key.lake": "***",
        "spark.hadoop.lake.password": "***",
    }


def test_nothing_that_airflow_keeps_has_a_secret(ended: Ended) -> None:
    """Database, logs of tasks and of the DAG processor, tables and reports: byte by byte."""
    kept = [
        path
        for folder in ("airflow", "warehouse")
        for path in (ended.folder / folder).rglob("*")
        if path.is_file()
    ]
    assert any(path.name == "airflow.db" for path in kept)
    assert any(path.suffix == ".log" for path in kept)
    told = {
        (str(path.relative_to(ended.folder)), secret)
        for path in kept
        for content in [path.read_bytes()]
        for secret in SECRETS
        if secret.encode() in content
    }
    assert told == set()


def test_no_route_is_the_plugins(ended: Ended) -> None:
    paths = json.loads(ended.answer("/openapi.json"))["paths"]
    assert not [path for path in paths if "kindling" in path]
