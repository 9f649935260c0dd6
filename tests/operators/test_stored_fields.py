"""What of a task is stored with its DAG, and what a run has all the same."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Param
from airflow.sdk.definitions.param import process_params
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.operators.stored_fields import own_params
from kindling_airflow.operators.stream import KindlingStreamOperator


def operator(kind: Any = KindlingPipeOperator, **arguments: Any) -> Any:
    return kind(
        **{"task_id": "t", "pipe_id": "p", "project_root": "/p", "modules": [], **arguments}
    )


def stored(dag: DAG) -> dict[str, Any]:
    (task,) = DagSerialization.to_dict(dag)["dag"]["tasks"]
    found: dict[str, Any] = task["__var"]
    return found


def test_template_fields_are_those_with_a_value() -> None:
    assert operator().template_fields == ("name",)
    task = operator(conf={"a": "{{ ds }}"}, warehouse="/w", env_vars={}, jars="a.jar")
    assert set(task.template_fields) == {"conf", "jars", "name", "warehouse"}
    stream = operator(KindlingStreamOperator, lifetime="bounded", checkpoints="/c")
    assert set(stream.template_fields) == {"name", "checkpoints"}
    assert {"conf", "env_vars", "warehouse", "checkpoints"} < set(
        KindlingStreamOperator.template_fields
    )


def test_a_field_that_a_policy_sets_is_rendered() -> None:
    task = operator()
    task.env_vars = {"REGION": "{{ params.region }}"}
    task.render_template_fields({"params": {"region": "EU"}, "ti": None})
    assert task.env_vars == {"REGION": "EU"}


def test_params_are_stored_with_the_dag_alone_and_a_run_has_them_all() -> None:
    with DAG("d", schedule=None, params={"region": Param("EU", type="string")}) as dag:
        task = operator(params={"limit": 5})
    task.params = own_params(task.params)
    assert list(task.params) == ["limit"]
    assert [name for name, _ in stored(dag)["params"]] == ["limit"]
    default = process_params(dag, task, None, suppress_exception=False)
    assert default == {"region": "EU", "limit": 5}
    given = process_params(dag, task, {"region": "US"}, suppress_exception=False)
    assert given == {"region": "US", "limit": 5}


def test_a_task_that_overrides_a_param_of_the_dag_keeps_its_own() -> None:
    with DAG("d", schedule=None, params={"limit": 1}) as dag:
        task = operator(params={"limit": 5})
    task.params = own_params(task.params)
    assert process_params(dag, task, None, suppress_exception=False) == {"limit": 5}


def test_what_is_called_before_a_pipe_is_not_stored_as_text_and_is_called() -> None:
    called: list[Any] = []
    with DAG("d", schedule=None) as dag:
        operator(pre_execute=called.append)
    assert "_pre_execute_hook" not in stored(dag)
    assert "params" not in stored(dag)
    task: Any = dag.get_task("t")
    task._pre_execute_hook({"x": 1})
    assert called == [{"x": 1}]
