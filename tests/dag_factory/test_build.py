"""DagSpec -> DAG, with Airflow's own objects: what is decided arrives, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import DAG, CronDataIntervalTimetable
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import DataInterval, TimeRestriction
from hypothesis import given, settings

from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.manifest import Manifest
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.translator import group_id, task_id
from tests.dag_factory.projects import compiled, document
from tests.strategies import acyclic_pipes, pipe_ids

DIAMOND = "a -> b -> d, a -> c -> d, lone"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def built(folder: Path, drawing: str = DIAMOND, **keys: Any) -> DAG:
    return build_dag(compiled(folder, drawing, **keys))


def edges(dag: Any) -> set[tuple[str, str]]:
    return {(task.task_id, below) for task in dag.tasks for below in task.downstream_task_ids}


def operator(dag: DAG, name: str) -> KindlingPipeOperator:
    found = dag.get_task(name)
    assert isinstance(found, KindlingPipeOperator)
    return found


def round_trip(dag: DAG) -> Any:
    """Return the DAG as the scheduler has it: through JSON text and back."""
    dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def test_each_generation_is_a_task_group(folder: Path) -> None:
    groups = built(folder).task_group.children
    assert list(groups) == ["generation_0", "generation_1", "generation_2"]
    assert [list(group.children) for group in groups.values()] == [["a", "lone"], ["b", "c"], ["d"]]
    assert groups["generation_1"].tooltip == (
        "Generation 1: 2 pipes, at most 4 at once in pool 'kindling_shop'"
    )


def test_task_ids_come_from_the_pipe_ids_alone(folder: Path) -> None:
    dag = built(folder, "bronze.orders -> my table -> generation_0")
    assert dag.task_ids == [task_id(p) for p in ("bronze.orders", "my table", "generation_0")]
    assert operator(dag, task_id("my table")).pipe_id == "my table"


def test_edges_are_the_data_edges_and_groups_wait_for_nothing(folder: Path) -> None:
    dag = built(folder)
    assert edges(dag) == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}
    for group in dag.task_group.children.values():
        assert not group.upstream_group_ids | group.downstream_group_ids
        assert not group.upstream_task_ids | group.downstream_task_ids


def test_a_pipe_that_reads_its_own_output_does_not_wait_for_itself(folder: Path) -> None:
    assert edges(built(folder, "a -> a, a -> b")) == {("a", "b")}


def test_priorities_are_the_translators_own_and_absolute(folder: Path) -> None:
    made = compiled(folder, DIAMOND)
    dag = build_dag(made)
    weights = {task.task_id: task.priority_weight for task in made.spec.tasks()}
    assert weights == {"a": 3, "lone": 1, "b": 2, "c": 2, "d": 1}
    assert {task.task_id: task.priority_weight for task in dag.tasks} == weights
    for task in round_trip(dag).tasks:
        instance: Any = SimpleNamespace(task=task)
        assert task.weight_rule.get_weight(instance) == weights[task.task_id]


def test_the_pool_and_the_retries_of_the_definition_are_every_tasks(folder: Path) -> None:
    dag = built(
        folder,
        pool="small",
        width=3,
        pool_slots=2,
        retries=4,
        retry_delay_seconds=1.5,
        owner="data",
    )
    for task in round_trip(dag).tasks:
        assert (task.pool, task.pool_slots) == ("small", 2)
        assert (task.retries, task.retry_delay) == (4, timedelta(seconds=1.5))
        assert task.trigger_rule == "none_failed"
        assert task.owner == "data"


def test_the_dags_width_is_the_pools(folder: Path) -> None:
    assert round_trip(built(folder, width=40)).max_active_tasks == 40


def test_what_the_definition_says_of_the_dag(folder: Path) -> None:
    dag = round_trip(
        built(
            folder,
            dag_id="daily",
            description="One line.",
            doc_md="# Many",
            schedule="0 3 * * *",
            start_date="2026-01-01",
            catchup=True,
            max_active_runs=3,
            tags=["sample", "b", "sample"],
        )
    )
    assert (dag.dag_id, dag.description, dag.doc_md) == ("daily", "One line.", "# Many")
    assert (dag.catchup, dag.max_active_runs) == (True, 3)
    assert sorted(dag.tags) == ["b", "kindling", "sample"]


def test_what_the_definition_leaves_out_is_left_to_airflow(folder: Path) -> None:
    dag = round_trip(built(folder))
    assert (dag.description, dag.doc_md, dag.catchup, dag.max_active_runs) == (None, None, False, 1)
    assert (dag.start_date, dag.timetable.summary) == (None, "None")
    assert {task.owner for task in dag.tasks} == {"airflow"}


def test_a_cron_schedule_has_data_intervals_in_the_definitions_zone(folder: Path) -> None:
    dag = built(folder, schedule="@daily", start_date="2026-03-28", timezone="Europe/Berlin")
    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    serialised = round_trip(dag)
    assert serialised.start_date == datetime(2026, 3, 28, tzinfo=ZoneInfo("Europe/Berlin"))
    last, found = None, []
    for _ in range(3):
        info = serialised.timetable.next_dagrun_info(
            last_automated_data_interval=last,
            restriction=TimeRestriction(serialised.start_date, None, catchup=True),
        )
        last = DataInterval(info.data_interval.start, info.data_interval.end)
        found.append(tuple(moment.astimezone(timezone.utc) for moment in last))
    midnights = [  # the 29th has 23 hours there
        datetime(2026, 3, 27, 23, tzinfo=timezone.utc),
        datetime(2026, 3, 28, 23, tzinfo=timezone.utc),
        datetime(2026, 3, 29, 22, tzinfo=timezone.utc),
        datetime(2026, 3, 30, 22, tzinfo=timezone.utc),
    ]
    assert found == list(pairwise(midnights))


def test_the_spark_settings_are_every_operators(folder: Path) -> None:
    spark = {
        "conn_id": "spark_cluster",
        "conf": {"spark.ui.enabled": False, "n": 8},
        "jars": "a.jar",
        "py_files": "lib.zip",
        "env_vars": {"A": "b"},
        "deploy_mode": "client",
        "driver_memory": "1g",
        "executor_cores": 2,
        "verbose": True,
    }
    for task in built(folder, spark=spark, warehouse="/lake/{{ ds }}").tasks:
        assert isinstance(task, KindlingPipeOperator)
        assert (task._conn_id, task.jars, task.py_files) == ("spark_cluster", "a.jar", "lib.zip")
        assert task.conf == {"spark.ui.enabled": "false", "n": "8"}
        assert task.env_vars == {"A": "b"}
        assert (task._deploy_mode, task._driver_memory) == ("client", "1g")
        assert (task._executor_cores, task._verbose) == (2, True)
        assert task.warehouse == "/lake/{{ ds }}"


def test_a_task_knows_its_pipe_its_project_and_its_plan(folder: Path) -> None:
    made = compiled(folder, DIAMOND)
    task = operator(build_dag(made), "d")
    assert (task.pipe_id, task.name) == ("d", "d")
    assert task._project_root == str(folder / "shop")
    assert task._modules == ("shop.pipes",)
    assert task.plan_digest == made.plan.digest
    assert task.doc == "Pipe d: reads b.out, c.out; writes d.out."


def test_the_doc_of_a_pipe_without_inputs_says_so(folder: Path) -> None:
    assert operator(built(folder), "a").doc == "Pipe a: reads nothing; writes a.out."


def test_a_worker_gets_the_one_task_that_it_wants(folder: Path) -> None:
    made = compiled(folder, DIAMOND, retries=2)
    whole, alone = build_dag(made), build_dag(made, only_task="d")
    assert alone.task_ids == ["d"]
    assert alone.dag_id == whole.dag_id
    serialised = [
        next(task for task in DagSerialization.to_dict(dag)["dag"]["tasks"] if _id(task) == "d")
        for dag in (whole, alone)
    ]
    # The whole DAG is stored, and holds its params once; a run's values are put into the task's.
    assert [name for name, _ in serialised[1]["__var"].pop("params")] == ["select"]
    assert serialised[0] == serialised[1]


def test_a_task_that_is_none_of_the_plans_gets_the_whole_dag(folder: Path) -> None:
    dag = build_dag(compiled(folder, DIAMOND), only_task="gone")
    assert dag.task_ids == ["a", "lone", "b", "c", "d"]


def test_nothing_in_a_serialised_dag_depends_on_the_folder(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        dag = built(tmp_path / name, schedule="@daily", start_date="2026-01-01")
        dag.fileloc, dag.relative_fileloc = "/dags/x.py", "x.py"
        texts.append(json.dumps(DagSerialization.to_dict(dag), sort_keys=True))
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]


def compiled_of(registry: DataPipesRegistry) -> Compiled:
    definition = Definition.from_document(document(project="/"), base=Path("/"), source="here")
    return compile_definition(
        definition, Manifest.from_registries(registry, DataEntityRegistry(), modules=["m"])
    )


def reachable(start: str, below: Any) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        for name in below(todo.pop()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found


def ids(names: Iterable[str]) -> set[str]:
    return {task_id(name) for name in names}


@given(acyclic_pipes(pipe_ids()).filter(lambda registry: registry.get_pipe_ids()))
@settings(max_examples=40)
def test_every_plan_survives_the_way_to_the_scheduler(registry: DataPipesRegistry) -> None:
    made = compiled_of(registry)
    graph = made.plan.graph
    dag = round_trip(build_dag(made))
    assert set(dag.task_ids) == ids(made.plan.pipe_ids)
    for pipe_id in made.plan.pipe_ids:
        below = reachable(task_id(pipe_id), lambda t: dag.get_task(t).downstream_task_ids)
        assert below == ids(reachable(pipe_id, graph.get_dependents))
    groups = dag.task_group.children
    assert list(groups) == [group_id(generation.number) for generation in made.plan.generations]
    for generation in made.plan.generations:
        assert set(groups[group_id(generation.number)].children) == ids(generation)


def _id(task: dict[str, Any]) -> str:
    return str(task["__var"]["task_id"])
