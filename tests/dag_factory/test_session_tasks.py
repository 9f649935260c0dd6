"""The tasks of sessions in a DAG: beside the pipes, in nobody's way, and known to them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from kindling_airflow import kindling_task_group
from kindling_airflow.dag_factory.build import build_dag
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from kindling_airflow.operators.session import KindlingSessionOperator
from tests.dag_factory.projects import write_definition, write_project
from tests.dag_factory.test_build import edges, round_trip

DRAWING = "a -> b, a -> c, lone"
SESSION = "kindling_session_run"


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop", DRAWING)
    return tmp_path


def made(dags: Path, text: str) -> DAG:
    path = write_definition(dags / "shop.kindling.yaml", f"dag_id: shop\nwidth: 3\n{text}")
    return build_dag(compile_definition(Definition.from_file(path)))


def test_the_task_of_a_session_is_beside_the_pipes(dags: Path) -> None:
    dag = made(dags, "session: run\nspark: {conf: {spark.x: '1'}, conn_id: here}\nqueue: etl\n")
    session: Any = dag.get_task(SESSION)
    assert isinstance(session, KindlingSessionOperator)
    assert (session.upstream_task_ids, session.downstream_task_ids) == (set(), set())
    assert (session.pool, session.queue, session.conf, session.retries) == (
        *("default_pool", "etl", {"spark.x": "1"}),
        3,
    )
    assert session.pipe_ids == session.pipe_tasks == ("a", "b", "c", "lone")
    assert session.priority_weight > max(
        task.priority_weight for task in dag.tasks if task is not session
    )
    assert {task.session for task in dag.tasks if task is not session} == {SESSION}
    assert dag.max_active_tasks == 4
    assert edges(round_trip(dag)) == {("a", "b"), ("a", "c")}


def test_pipes_outside_of_it_do_not_know_it(dags: Path) -> None:
    dag = made(dags, "session: run\noverrides: {lone: {session: pipe}}\n")
    sessions = {task.task_id: task.session for task in dag.tasks if task.task_id != SESSION}
    assert sessions == {"a": SESSION, "b": SESSION, "c": SESSION, "lone": ""}


def test_a_pipe_that_cannot_share_the_driver_is_named_with_the_definition(dags: Path) -> None:
    with pytest.raises(DefinitionError) as refused:
        made(dags, "session: run\noverrides: {lone: {spark: {driver_memory: 9g}}}\n")
    assert str(refused.value).removeprefix(f"{dags}/") == (
        "shop.kindling.yaml: DAG 'shop': pipe 'lone' overrides spark.driver_memory and cannot "
        "share session 'run'\n"
        "  Fix: set 'session: pipe', or the name of another session, in the same override."
    )


class TestSelection:
    def before(self, dag: DAG, selection: str) -> Any:
        task: Any = dag.get_task(SESSION)
        run = SimpleNamespace(conf={"select": selection} if selection else {})
        context = {"ti": SimpleNamespace(task=task), "dag_run": run, "params": {}, "dag": dag}
        task._pre_execute_hook(context)
        return task

    @pytest.mark.parametrize("selection", ["", "a+", "lone", "c"])
    def test_it_is_started_for_any_of_its_pipes(self, dags: Path, selection: str) -> None:
        dag = made(dags, "session: run\n")
        assert self.before(dag, selection).code.digest.startswith("sha256:")

    @pytest.mark.parametrize("selection", ["lone", "nothing.like.it"])
    def test_it_is_skipped_where_none_of_them_is_selected(self, dags: Path, selection: str) -> None:
        dag = made(dags, "session: run\noverrides: {lone: {session: pipe}}\n")
        with pytest.raises(AirflowSkipException, match="None of its pipes is selected"):
            self.before(dag, selection)


class TestGroup:
    def test_what_is_behind_a_group_does_not_wait_for_its_session(self, dags: Path) -> None:
        write_definition(dags / "shop.kindling.yaml", "dag_id: shop\nsession: run\n")
        with DAG("mine", schedule=None) as dag:
            group = kindling_task_group("shop.kindling.yaml", group_id="orders", base=dags)
            EmptyOperator(task_id="start") >> group >> EmptyOperator(task_id="end")
        session: Any = dag.get_task(f"orders.{SESSION}")
        assert session.upstream_task_ids == {"start"}
        assert session.downstream_task_ids == set()
        assert session.pipe_tasks == ("orders.a", "orders.b", "orders.c", "orders.lone")
        pipe: Any = dag.get_task("orders.a")
        assert pipe.session == f"orders.{SESSION}"
        assert ("orders.kindling_outcome", "end") in edges(round_trip(dag))
