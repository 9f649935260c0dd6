"""A worker starts one task from the compiled manifest: without a graph, and never a stale one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_DAG_ID,
    _AIRFLOW_PARSING_CONTEXT_TASK_ID,
)

import kindling_airflow.definitions.compiled_dag as compiled_dag
from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory.build import build_dag, build_task
from kindling_airflow.dag_factory.factory import load_dags
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.compiled_dag import read_compiled_task, write_compiled
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.yaml_file import read_definition_file
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest import Manifest
from tests.dag_factory.projects import imports_of, write_definition, write_project
from tests.dag_factory.test_load_dags import DROP_IN

DIAMOND = "[raw] -> a -> b -> d, a -> c -> d"
STREAMS = """\
from kindling_airflow import DataEntities, DataPipes
for name in ("raw", "ingest.out", "clean.out"):
    DataEntities.entity(entityid=name, schema="id BIGINT")
STREAM = {"processing_mode": "streaming"}
for name, reads, tags in (
    ("ingest", "raw", STREAM), ("clean", "ingest.out", STREAM), ("daily", "clean.out", {}),
):
    DataPipes.pipe(
        pipeid=name, input_entity_ids=[reads], output_entity_id=f"{name}.out", tags=tags
    )(lambda **inputs: None)
DataPipes.view("counted", input_entity_ids=["daily.out"], output_entity_id="n",
               sql='SELECT count(*) AS n FROM `daily.out`')
"""
RICH = """\
description: All of it.
schedule: "0 3 * * *"
start_date: 2026-01-01
params: {region: EU}
on_error: fail_fast
pools: {heavy: 2}
retries: 4
retry_delay_seconds: 30
spark: {conf: {spark.x: '1'}, conn_id: spark_here}
on_failure_callback: json:dumps
overrides:
  "a": {pool: heavy, priority: 9}
  "b": {execution_timeout_seconds: 60, executor_config: {a: [1, 2.5, null]}}
"""


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A dags folder whose project is compiled."""
    shutil.copy(DROP_IN, tmp_path)
    write_project(tmp_path / "shop", DIAMOND)
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\n")
    compile_(tmp_path)
    return tmp_path


def compile_(dags: Path) -> None:
    assert main(["compile", str(dags / "shop.kindling.yaml")]) == 0


def read(dags: Path, task_id: str = "a") -> Any:
    return read_compiled_task(read_definition_file(dags / "shop.kindling.yaml"), task_id)


def held(task: Any) -> dict[str, Any]:
    """Return what a task holds, without what is another object in every parse."""
    left_out = (
        "_dag",
        "task_group",
        "_pre_execute_hook",
        "params",  # a whole DAG holds them once
        "_BaseOperator__init_kwargs",
        "start_date",
    )
    return {k: v for k, v in vars(task).items() if k not in left_out} | {"type": type(task)}


@pytest.mark.parametrize(
    ("project", "text"),
    [
        ("", "dag_id: shop\n"),
        ("", f"dag_id: shop\n{RICH}"),
        ("", "dag_id: shop\nbarrier: generation\non_error: continue\n"),
        ("", "dag_id: shop\ngroup_by: tag:layer\n"),
        ("", "dag_id: shop\nsession: run\noverrides: {b: {session: pipe}, d: {session: late}}\n"),
        (STREAMS, "dag_id: shop\nstrategy: hybrid\nsession: run\n"),
        ("", "dag_id: shop\nschedule: assets\nwarehouse: hdfs://lake/tables\n"),
        ("", "dag_id: shop\nassets: false\nselect: [a+]\nexclude: d\n"),
        (STREAMS, "dag_id: shop\nstrategy: hybrid\ncheckpoints: /points\n"),
        (STREAMS, "dag_id: shop\nstrategy: hybrid\nlifetime: available_now\n"),
        (STREAMS, "dag_id: shop\nstrategy: hybrid\nlifetime: bounded\nduration: 1h\n"),
    ],
)
def test_each_task_is_the_one_that_compiling_builds(
    tmp_path: Path, project: str, text: str
) -> None:
    write_project(tmp_path / "shop", DIAMOND)
    if project:
        (tmp_path / "shop" / "pipes_drawn.py").write_text(project)
    write_definition(tmp_path / "shop.kindling.yaml", text)
    (tmp_path / "shop" / "kindling.settings.yaml").write_text(
        "pipes: {'**': {tags: {layer: gold, owner: me}}}\n"
    )
    compile_(tmp_path)
    whole = compile_definition(Definition.from_file(tmp_path / "shop.kindling.yaml"))
    assert len(whole.spec.nodes()) >= 3
    for node in whole.spec.nodes():
        parts, again = read(tmp_path, node.task_id)
        assert again == node
        made, expected = build_task(parts, again), build_dag(whole, node.task_id)
        assert made.task_ids == expected.task_ids == [node.task_id]
        for name in ("max_active_tasks", "description", "timetable", "tags", "params"):
            assert repr(getattr(made, name)) == repr(getattr(expected, name)) or name == "timetable"
        assert type(made.timetable) is type(expected.timetable)
        assert held(made.get_task(node.task_id)) == held(expected.get_task(node.task_id))
        assert parts.graph().nodes.keys() == whole.plan.graph.nodes.keys()


def test_a_worker_imports_no_graph_no_plan_and_no_networkx(dags: Path) -> None:
    program = (
        "import json, sys\n"
        "from kindling_airflow import load_dags\n"
        f"dag = load_dags({str(dags / 'kindling_dags.py')!r})['shop']\n"
        "print(json.dumps([dag.task_ids, list(sys.modules)]))\n"
    )
    wanted = {_AIRFLOW_PARSING_CONTEXT_DAG_ID: "shop", _AIRFLOW_PARSING_CONTEXT_TASK_ID: "d"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **wanted, "AIRFLOW_HOME": str(dags / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        text=True,
    )
    task_ids, modules = json.loads(done.stdout.splitlines()[-1])
    assert task_ids == ["d"]
    rooms = ("pipe_graph", "selection", "execution_plan", "execution_strategy", "cache_optimizer")
    unwanted = ("networkx", *(f"kindling_airflow.{room}" for room in rooms))
    assert [name for name in modules if name.startswith(unwanted)] == []


def _definition(dags: Path) -> None:
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\nretries: 7\n")


def _module(dags: Path) -> None:
    write_project(dags / "shop", f"{DIAMOND}, d -> e")


def _new_module(dags: Path) -> None:
    write_project(dags / "shop", "x -> y", module="pipes_new")


def _settings(dags: Path) -> None:
    (dags / "shop" / "kindling.settings.yaml").write_text("pipes: {a: {tags: {owner: me}}}\n")


def _manifest(dags: Path) -> None:
    path = dags / "shop.manifest.json"
    path.write_text(path.read_text().replace('"output_entity_id": "d', '"output_entity_id": "x', 1))


def _tasks(dags: Path) -> None:
    path = dags / "shop.manifest.json"
    path.write_text(path.read_text().replace('"priority_weight": ', '"priority_weight": 1', 1))


def _formatted(dags: Path) -> None:
    path = dags / "shop.manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4))


def _without_dag(dags: Path) -> None:
    path = dags / "shop.manifest.json"
    Manifest.read(path).write(path)


def _removed(dags: Path) -> None:
    (dags / "shop.manifest.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        *(_definition, _module, _new_module, _settings, _manifest),
        *(_tasks, _formatted, _without_dag, _removed),
    ],
)
def test_whatever_has_changed_makes_it_stale(dags: Path, change: Callable[[Path], None]) -> None:
    assert read(dags) is not None
    change(dags)
    assert read(dags) is None


def test_other_durations_make_it_stale(tmp_path: Path) -> None:
    write_project(tmp_path / "shop", DIAMOND)
    file = tmp_path / "durations.json"
    file.write_text('{"a": 4}')
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\ndurations: durations.json\n")
    compile_(tmp_path)
    assert read(tmp_path) is not None
    file.write_text('{"a": 5}')
    assert read(tmp_path) is None


def test_another_release_compiles_anew(dags: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_dag, "__version__", "9.9")
    assert read(dags) is None


def test_an_unknown_task_compiles_anew(dags: Path) -> None:
    assert read(dags, "nowhere") is None


def test_a_strategy_of_another_distribution_is_not_written_down(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dags / "shop.manifest.json"
    manifest = Manifest.read(path)

    class Nightly:
        pass

    monkeypatch.setattr("kindling_airflow.execution_strategy.strategy_by_name", lambda _: Nightly())
    write_compiled(path, read_definition_file(dags / "shop.kindling.yaml"), manifest)
    assert path.read_text() == manifest.dumps()


@pytest.fixture
def _worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "shop")
    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, "a")


@pytest.mark.usefixtures("_worker")
def test_a_stale_one_is_compiled_with_what_has_changed(dags: Path) -> None:
    before = len(imports_of(dags / "shop"))
    (dag,) = load_dags(dags / "kindling_dags.py").values()
    assert (dag.task_ids, dag.get_task("a").retries) == (["a"], 0)
    assert len(imports_of(dags / "shop")) == before
    _definition(dags)
    (dag,) = load_dags(dags / "kindling_dags.py").values()
    assert (dag.task_ids, dag.get_task("a").retries) == (["a"], 7)


@pytest.mark.usefixtures("_worker")
def test_a_package_of_another_state_is_refused_all_the_same(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(dags / "shop.zip", "w") as package:
        package.writestr("nothing", "")
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\npackage: shop.zip\n")
    with monkeypatch.context() as when_compiled:
        when_compiled.setattr("kindling_airflow.definitions.compile.check_package", print)
        found = read_definition_file(dags / "shop.kindling.yaml")
        write_compiled(
            dags / "shop.manifest.json", found, Manifest.read(dags / "shop.manifest.json")
        )
    with pytest.raises(DefinitionError, match=r"shop\.kindling\.yaml: .*shop\.zip"):
        load_dags(dags / "kindling_dags.py")


def test_the_settings_of_tasks_are_not_in_it(tmp_path: Path) -> None:
    """A manifest is committed and passed around; a definition may hold secrets."""
    write_project(tmp_path / "shop", DIAMOND)
    secret = "spark: {conf: {spark.hadoop.fs.s3a.secret.key: not-for-others}}\n"
    write_definition(tmp_path / "shop.kindling.yaml", f"dag_id: shop\nretries: 4\n{secret}")
    compile_(tmp_path)
    assert "not-for-others" not in (tmp_path / "shop.manifest.json").read_text()
    parts, node = read(tmp_path)
    task = build_task(parts, node).get_task("a")
    assert task.retries == 4
    assert "spark.hadoop.fs.s3a.secret.key" in task.conf


def test_the_same_definition_makes_the_same_bytes(dags: Path) -> None:
    first = (dags / "shop.manifest.json").read_bytes()
    compile_(dags)
    assert (dags / "shop.manifest.json").read_bytes() == first
    assert Manifest.read(dags / "shop.manifest.json").dumps().encode() != first
