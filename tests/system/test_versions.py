"""A small project on a real Airflow of whatever release this environment has.

``make lowest`` runs this with the lowest supported releases, ``make test`` with the newest as well.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from demo.local_airflow import LocalAirflow
from tests.system.conftest import PROFILES
from tests.system.streams import until

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = "apache-airflow-providers-apache-spark"

PIPES = """\
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw", tags={"provider_type": "csv", "provider.path": "rows.csv"}, schema="id BIGINT"
)


@DataPipes.pipe("copied", input_entity_ids=["raw"], output_entity_id="copied")
def copied(raw):
    return raw


@DataPipes.pipe("dated", input_entity_ids=["copied"], output_entity_id="dated")
def dated(copied, run):
    from pyspark.sql import functions as F

    return copied.limit(1).withColumn("day", F.lit(str(run.interval_start)))
"""
DEFINITION = """\
dag_id: {dag_id}
project: shop
schedule: "@daily"
start_date: 2026-01-01
pool: {dag_id}_pool
width: 2
retries: 0
pipes: [copied, {second}]
"""
STREAMS = """\
from kindling_airflow import DataEntities, DataPipes

STREAM = {"processing_mode": "streaming", "stream.trigger": "500ms"}

DataEntities.entity(
    entityid="dropped", tags={"provider_type": "json", "provider.path": "drop"}, schema="id BIGINT"
)
DataEntities.entity(entityid="taken", schema="id BIGINT")


@DataPipes.pipe("take", tags=STREAM, input_entity_ids=["dropped"], output_entity_id="taken")
def take(dropped):
    return dropped


@DataPipes.pipe("keep", tags=STREAM, input_entity_ids=["taken"], output_entity_id="kept")
def keep(taken):
    return taken
"""
STREAMING = """\
dag_id: tail
project: tail
strategy: streaming
schedule: null
pool: tail_pool
width: 2
"""
FACTORY = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, spark_profile: str) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("versions")
    dags, warehouse = folder / "dags", folder / "warehouse"
    (dags / "shop").mkdir(parents=True)
    (dags / "shop" / "pipes.py").write_text(PIPES)
    (dags / "shop.kindling.yaml").write_text(DEFINITION.format(dag_id="shop", second="dated"))
    (dags / "wrong.kindling.yaml").write_text(DEFINITION.format(dag_id="wrong", second="dates"))
    (dags / "tail").mkdir()
    (dags / "tail" / "pipes_of_streams.py").write_text(STREAMS)
    (dags / "tail.kindling.yaml").write_text(STREAMING)
    (dags / "dags.py").write_text(FACTORY)
    (warehouse / "drop").mkdir(parents=True)
    (warehouse / "rows.csv").write_text("id\n1\n2\n3\n")
    deployment = LocalAirflow(
        folder / "airflow", dags_folder=dags, warehouse=warehouse, profile=PROFILES
    )
    with deployment as running:
        running.api.wait_for_dag("shop")
        running.api.unpause("shop")
        yield running


@pytest.mark.system
@pytest.mark.versions
def test_a_run_succeeds_in_a_pool_that_was_created(airflow: LocalAirflow) -> None:
    run_id = airflow.api.trigger("shop", "by-hand")
    assert airflow.api.wait_for_run("shop", run_id) == "success"
    rows = {
        task: airflow.api.xcom("shop", run_id, task, "kindling_report")["rows_written"]
        for task in ("copied", "dated")
    }
    assert rows == {"copied": 3, "dated": 1}
    assert airflow.api.pools()["shop_pool"]["slots"] == 2


@pytest.mark.system
@pytest.mark.versions
def test_a_backfill_runs_a_day_with_its_interval(airflow: LocalAirflow) -> None:
    days = ("--from-date", "2026-01-05", "--to-date", "2026-01-05")
    done = airflow.run("backfill", "create", "--dag-id", "shop", *days)
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 300
    while not (runs := _backfilled(airflow)) and time.monotonic() < deadline:
        time.sleep(1)
    [run] = runs
    assert airflow.api.wait_for_run("shop", run["dag_run_id"]) == "success"
    interval = [run["data_interval_start"][:10], run["data_interval_end"][:10]]
    assert interval == ["2026-01-05", "2026-01-06"]


@pytest.mark.system
@pytest.mark.versions
def test_a_broken_definition_is_an_import_error_under_its_own_name(airflow: LocalAirflow) -> None:
    # It is filed when the factory is parsed, and forgotten when Airflow looks for new files.
    deadline = time.monotonic() + 60
    while not (errors := airflow.api.import_errors()) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert [error["filename"] for error in errors] == ["wrong.kindling.yaml"]
    assert "unknown pipe 'dates'" in errors[0]["stack_trace"]


@pytest.mark.system
@pytest.mark.versions
def test_the_commands_are_airflows_own(airflow: LocalAirflow) -> None:
    dags = Path(airflow.environment["AIRFLOW__CORE__DAGS_FOLDER"])
    done = airflow.run("kindling", "plan", str(dags / "shop.kindling.yaml"))
    assert done.returncode == 0, done.stderr
    assert "copied" in done.stdout


@pytest.mark.system
@pytest.mark.versions
def test_streams_get_ready_from_sink_to_source_and_drain(airflow: LocalAirflow) -> None:
    api, warehouse = airflow.api, Path(airflow.environment["AIRFLOW__KINDLING__WAREHOUSE"])
    api.wait_for_dag("tail")
    api.unpause("tail")
    run_id = api.trigger("tail", "by-hand")
    until(lambda: api.xcom("tail", run_id, "take", "kindling_ready"), "take is ready", 300)
    started = {i["task_id"]: i["start_date"] for i in api.task_instances("tail", run_id)}
    assert api.xcom("tail", run_id, "keep", "kindling_ready") < started["take"]
    (warehouse / "drop" / "_ids").write_text("".join(f'{{"id":{n}}}\n' for n in range(100)))
    (warehouse / "drop" / "_ids").rename(warehouse / "drop" / "ids.json")
    done = airflow.run("kindling", "stop", "tail", "--wait", "300")
    assert done.returncode == 0, done.stdout + done.stderr
    states = {i["task_id"]: i["state"] for i in api.task_instances("tail", run_id)}
    assert set(states.values()) == {"success"}
    reports = [api.xcom("tail", run_id, pipe, "kindling_report") for pipe in ("take", "keep")]
    assert [report["inputs"][0]["rows"] for report in reports] == [100, 100]


def _backfilled(airflow: LocalAirflow) -> list[dict[str, Any]]:
    return [run for run in airflow.api.runs("shop") if run["run_type"] == "backfill"]


def _pins(lock: str, choose: Callable[..., Version] = min) -> dict[str, Version]:
    """Return what a lock file pins; of a package with several pins, the lowest, or as chosen."""
    pins: dict[str, Version] = {}
    for name, text in re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / lock).read_text(), re.MULTILINE):
        pins[name] = choose(pins.get(name, Version(text)), Version(text))
    return pins


def test_the_lowest_releases_are_the_lower_bounds_of_the_package() -> None:
    lowest = _pins("requirements-lowest.lock")
    text = (ROOT / "pyproject.toml").read_text()
    dependencies = text.split("\ndependencies = [", 1)[1].split("\n]", 1)[0]
    bounds = dict(re.findall(r'^    "([\w-]+)>=([\w.]+)', dependencies, re.MULTILINE))
    assert {"apache-airflow", PROVIDER, "networkx", "rich"} <= bounds.keys()
    # Where Airflow itself asks more of a package than this one does, the bound is to say so.
    differing = {
        name: (bound, str(lowest[name]))
        for name, bound in bounds.items()
        if lowest[name].release[:2] != (*Version(bound).release, 0)[:2]
    }
    assert not differing


def test_the_newest_releases_are_of_the_minor_release_that_is_locked() -> None:
    newest, lowest = _pins("requirements.lock"), _pins("requirements-lowest.lock")
    assert newest["apache-airflow"].release[:2] == (3, 3)
    assert lowest["apache-airflow"] < newest["apache-airflow"]
    assert lowest[PROVIDER] < newest[PROVIDER]


def test_the_page_of_supported_versions_names_what_is_locked() -> None:
    page = (ROOT / "docs" / "supported-versions.md").read_text()
    newest, lowest = _pins("requirements.lock", max), _pins("requirements-lowest.lock")
    for name in ("apache-airflow", PROVIDER, "networkx"):
        assert f"| `{name}` | {lowest[name]} | {newest[name]} |" in page
    assert f"| `pyspark` | - | {newest['pyspark']} |" in page
