"""What a definition says arrives, and what it leaves out has the documented default."""

from __future__ import annotations

import inspect
from dataclasses import fields
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

from kindling_airflow.definitions.definition import Definition, manifest_beside
from kindling_airflow.definitions.schema_check import definition_schema, resolved
from tests.dag_factory.projects import document, write_definition

# Every key, none at its default.
EVERYTHING = """\
dag_id: shop.daily
description: Orders to answers.
doc_md: "# Shop"
project:
  path: shop
  modules: [shop.entities, shop.pipes]
manifest: compiled/shop.json
package: shop.zip
schedule: "0 3 * * *"
on_missing_interval: run_after
start_date: 2026-01-31
timezone: Europe/Berlin
catchup: true
max_active_runs: 2
tags: [sample, medallion]
dag_display_name: The shop
is_paused_upon_creation: false
params: {region: EU, days: {default: 7, type: integer}}
dag_run: {timeout_seconds: 3600}
access_control: {Viewer: {DAGs: [can_read]}}
owner: data
strategy: streaming
lifetime: bounded
duration: 90m
checkpoints: s3a://lake/checkpoints
pipes: [silver.orders, gold.sales]
select: +gold.sales
exclude: ["tag:slow", raw.*]
settings: [prod.yaml, ../site.yaml]
pool: small
width: 3
pools: {heavy: 2, drivers: 1}
session: run
session_pool: drivers
memory_budget: 8g
on_error: continue
barrier: generation
group_by: "generation"
pool_slots: 2
queue: night
executor: LocalExecutor
retries: 4
retry_delay_seconds: 1.5
retry_exponential_backoff: true
max_retry_delay_seconds: 60
execution_timeout_seconds: 600
executor_config: {a: 1}
arguments: {depends_on_past: true}
on_execute_callback: notes:note
on_failure_callback: [notes:note, "alerts.pager:Page.now"]
on_retry_callback: {class: "notes:Note", kwargs: {text: again}}
on_skipped_callback: notes:note
on_success_callback: notes:note
overrides:
  gold.**: {pool: heavy, pool_slots: null, priority: 9, spark: {conf: {x: null, y: true}}}
durations: usual.json
assets: lake/tables/
catalog: {name: lake, connection: lake_db}
warehouse: "s3a://lake/{{ ds }}"
spark:
  conn_id: spark_cluster
  conf: {spark.ui.enabled: false, spark.sql.shuffle.partitions: 8, spark.memory.fraction: 0.5, x: y}
  archives: env.tar.gz#env
  deploy_mode: client
  driver_class_path: a.jar
  driver_memory: 1g
  env_vars: {HOME: /tmp}
  exclude_packages: a:b
  executor_cores: 1
  executor_memory: 2g
  files: a.txt
  jars: b.jar
  keytab: /etc/keytab
  num_executors: 3
  packages: c:d:1
  principal: data@HOST
  properties_file: spark.conf
  proxy_user: etl
  py_files: lib.zip
  repositories: https://repo.example
  spark_binary: spark3-submit
  status_poll_interval: 5
  total_executor_cores: 9
  use_krb5ccache: true
  verbose: true
  yarn_queue: nightly
  name: "{{ task.task_id }}"
  post_submit_commands: [date]
  durable: false
  track_driver_via_k8s_api: false
  yarn_track_via_rm_api: true
  yarn_rm_auth: none
  openlineage_inject_parent_job_info: true
  openlineage_inject_transport_info: true
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    return tmp_path


def define(base: Path, **keys: Any) -> Definition:
    return Definition.from_document(document(**keys), base=base, source="here")


def test_every_key_arrives(base: Path) -> None:
    path = write_definition(base / "shop.kindling.yaml", EVERYTHING)
    assert Definition.from_file(path) == Definition(
        source=str(path),
        dag_id="shop.daily",
        project_root=base / "shop",
        modules=("shop.entities", "shop.pipes"),
        manifest=base / "compiled" / "shop.json",
        package=str(base / "shop.zip"),
        on_missing_interval="run_after",
        cron="0 3 * * *",
        start_date=datetime(2026, 1, 31, tzinfo=ZoneInfo("Europe/Berlin")),
        timezone="Europe/Berlin",
        catchup=True,
        max_active_runs=2,
        tags=("sample", "medallion"),
        params={"region": "EU", "days": {"default": 7, "type": "integer"}},
        dag_run={"timeout_seconds": 3600},
        dag_arguments={
            "dag_display_name": "The shop",
            "description": "Orders to answers.",
            "doc_md": "# Shop",
            "is_paused_upon_creation": False,
            "access_control": {"Viewer": {"DAGs": ("can_read",)}},
        },
        strategy="streaming",
        continuous=False,
        lifetime="bounded",
        duration=5400.0,
        checkpoints="s3a://lake/checkpoints",
        pipes=("silver.orders", "gold.sales"),
        select=("+gold.sales",),
        exclude=("tag:slow", "raw.*"),
        settings=(base / "prod.yaml", base.parent / "site.yaml"),
        pool="small",
        width=3,
        pools={"heavy": 2, "drivers": 1},
        session_pool="drivers",
        durations=(base / "usual.json").resolve(),
        memory_budget=8 * 2**30,
        on_error="continue",
        barrier="generation",
        group_by="generation",
        task={
            "session": "run",
            "pool_slots": 2,
            "queue": "night",
            "executor": "LocalExecutor",
            "owner": "data",
            "retries": 4,
            "retry_delay_seconds": 1.5,
            "retry_exponential_backoff": True,
            "max_retry_delay_seconds": 60,
            "execution_timeout_seconds": 600,
            "executor_config": {"a": 1},
            "arguments": {"depends_on_past": True},
            "on_execute_callback": "notes:note",
            "on_failure_callback": ("notes:note", "alerts.pager:Page.now"),
            "on_retry_callback": {"class": "notes:Note", "kwargs": {"text": "again"}},
            "on_skipped_callback": "notes:note",
            "on_success_callback": "notes:note",
            "spark": {
                "conn_id": "spark_cluster",
                "conf": {
                    "spark.ui.enabled": "false",
                    "spark.sql.shuffle.partitions": "8",
                    "spark.memory.fraction": "0.5",
                    "x": "y",
                },
                "archives": "env.tar.gz#env",
                "deploy_mode": "client",
                "driver_class_path": "a.jar",
                "driver_memory": "1g",
                "env_vars": {"HOME": "/tmp"},
                "exclude_packages": "a:b",
                "executor_cores": 1,
                "executor_memory": "2g",
                "files": "a.txt",
                "jars": "b.jar",
                "keytab": "/etc/keytab",
                "num_executors": 3,
                "packages": "c:d:1",
                "principal": "data@HOST",
                "properties_file": "spark.conf",
                "proxy_user": "etl",
                "py_files": "lib.zip",
                "repositories": "https://repo.example",
                "spark_binary": "spark3-submit",
                "status_poll_interval": 5,
                "total_executor_cores": 9,
                "use_krb5ccache": True,
                "verbose": True,
                "yarn_queue": "nightly",
                "name": "{{ task.task_id }}",
                "post_submit_commands": ("date",),
                "durable": False,
                "track_driver_via_k8s_api": False,
                "yarn_track_via_rm_api": True,
                "yarn_rm_auth": "none",
                "openlineage_inject_parent_job_info": True,
                "openlineage_inject_transport_info": True,
            },
        },
        overrides={
            "gold.**": {
                "pool": "heavy",
                "pool_slots": None,
                "priority": 9,
                "spark": {"conf": {"x": None, "y": True}},
            }
        },
        assets="lake/tables",
        catalog={"name": "lake", "connection": "lake_db"},
        warehouse="s3a://lake/{{ ds }}",
        folder=base,
    )


def test_everything_above_is_everything_that_the_schema_knows(base: Path) -> None:
    definition = Definition.from_file(write_definition(base / "x.kindling.yaml", EVERYTHING))
    properties = definition_schema()["properties"]
    assert {line.split(":")[0] for line in EVERYTHING.splitlines() if line[0] != " "} == set(
        properties
    )
    assert set(definition.spark) == set(resolved(properties["spark"])["properties"])
    defaults = define(base)
    assert all(
        getattr(definition, field.name) != getattr(defaults, field.name)
        for field in fields(Definition)
        if field.name not in ("project_root", "folder", "group_by", "objects")
        and field.name not in ("updates", "every", "partitions", "follows_inputs")
    )


def test_two_keys_are_enough(base: Path) -> None:
    assert define(base) == Definition(
        source="here",
        dag_id="shop",
        project_root=base / "shop",
        modules=(),
        manifest=None,
        cron=None,
        start_date=None,
        timezone="UTC",
        catchup=False,
        max_active_runs=1,
        tags=(),
        updates=None,
        params={},
        dag_run={},
        dag_arguments={},
        strategy="batch",
        continuous=None,
        lifetime=None,
        duration=None,
        checkpoints=None,
        pipes=None,
        select=(),
        exclude=(),
        settings=(),
        pool="kindling_shop",
        width=4,
        pools={},
        on_error="skip_dependents",
        barrier="none",
        group_by="generation",
        task={},
        overrides={},
        assets="warehouse",
        warehouse=None,
        objects=(),
        folder=base,
    )


def test_a_project_is_a_path_or_a_mapping(base: Path) -> None:
    assert define(base, project="shop") == define(base, project={"path": "shop"})
    assert define(base, project=base / "shop") == define(base, project="shop")
    assert define(base, project={"path": ".", "modules": ["shop"]}).modules == ("shop",)


def test_a_path_upwards_is_followed(base: Path) -> None:
    (base / "dags").mkdir()
    definition = Definition.from_document(
        document(project="../shop"), base=base / "dags", source="here"
    )
    assert definition.project_root == base / "shop"


@pytest.mark.parametrize(
    ("preset", "cron"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@quarterly", "0 0 1 */3 *"),
        ("@yearly", "0 0 1 1 *"),
        ("30 6 * * MON-FRI", "30 6 * * MON-FRI"),
    ],
)
def test_a_schedule_is_a_preset_or_a_cron_expression(base: Path, preset: str, cron: str) -> None:
    assert define(base, schedule=preset, start_date="2026-01-01").cron == cron


def test_a_null_schedule_is_none(base: Path) -> None:
    assert define(base, schedule=None, start_date="2026-01-01").cron is None


@pytest.mark.parametrize(
    "said",
    [
        "2026-01-31",
        "2026-01-31T00:00",
        "2026-01-31 00:00:00",
        "2026-01-31T00:00:00.000000",
        "2026-01-30T23:00:00Z",
        "2026-01-31T02:00:00+03:00",
        date(2026, 1, 31),
        datetime(2026, 1, 31),  # noqa: DTZ001 (in the definition's zone)
        datetime(2026, 1, 30, 23, tzinfo=timezone.utc),
        datetime(2026, 1, 31, 2, tzinfo=timezone(timedelta(hours=3))),
    ],
)
def test_a_start_date_is_in_its_own_zone_or_in_that_of_the_definition(
    base: Path, said: object
) -> None:
    found = define(base, start_date=said, timezone="Europe/Berlin").start_date
    assert found is not None
    assert found.isoformat() == "2026-01-31T00:00:00+01:00"
    assert found.tzinfo == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("written", ["2026-01-31", "2026-01-31 06:30:00", "'2026-01-31'"])
def test_dates_in_yaml_need_no_quotes(base: Path, written: str) -> None:
    path = write_definition(base / "x.kindling.yaml", f"dag_id: x\nstart_date: {written}\n")
    found = Definition.from_file(path).start_date
    assert found is not None
    assert (found.year, found.month, found.day) == (2026, 1, 31)


def test_sequences_from_python_may_be_tuples(base: Path) -> None:
    assert define(base, tags=("a", "b"), pipes=("x",)) == define(base, tags=["a", "b"], pipes=["x"])


def test_a_definition_cannot_change(base: Path) -> None:
    conf = {"a": "1"}
    definition = define(base, spark={"conf": conf})
    conf["a"] = "2"
    assert definition.spark["conf"]["a"] == "1"
    with pytest.raises(TypeError):
        definition.spark["conf"]["a"] = "3"


def test_the_manifest_beside_is_found_by_the_name_of_the_definition(base: Path) -> None:
    path = write_definition(base / "shop.eu.kindling.yaml", "dag_id: x\n")
    write_definition(base / "shop.manifest.json", "of another definition")
    assert Definition.from_file(path).manifest is None
    (base / "shop.eu.manifest.json").touch()
    assert Definition.from_file(path).manifest == base / "shop.eu.manifest.json"


def test_definitions_of_one_folder_have_manifests_of_their_own() -> None:
    names = ["shop.eu.kindling.yaml", "shop.us.kindling.yaml", "shop.kindling.yaml", "shop.yaml"]
    assert [manifest_beside(Path(name)).name for name in names] == [
        "shop.eu.manifest.json",
        "shop.us.manifest.json",
        "shop.manifest.json",
        "shop.yaml.manifest.json",
    ]


def test_the_schemas_spark_keys_are_arguments_of_the_spark_providers_operator() -> None:
    known = set(inspect.signature(SparkSubmitOperator.__init__).parameters)
    # Of the provider's later releases, of which the last argument here is the latest.
    later = {"post_submit_commands", "track_driver_via_k8s_api", "yarn_track_via_rm_api"}
    later |= {"yarn_rm_auth", "durable"}
    keys = set(resolved(definition_schema()["properties"]["spark"])["properties"])
    assert keys <= known | (set() if "durable" in known else later)
