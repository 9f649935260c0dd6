"""Secrets among a task's arguments reach the driver and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow.sdk.log import redact
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow.operators.driver.hidden_values import HiddenValue, hidden, revealed
from kindling_airflow.operators.pipe import KindlingPipeOperator

KEY, TOKEN = "hidden-values-key-4711", "hidden-values-token-0815"


@pytest.fixture
def operator(tmp_path: Path) -> KindlingPipeOperator:
    return KindlingPipeOperator(
        task_id="t",
        pipe_id="p",
        project_root=str(tmp_path),
        modules=[],
        conf={
            "spark.hadoop.fs.s3a.secret.key": KEY,
            "spark.hadoop.fs.azure.account.key.lake": "{{ params.key }}",
            "spark.executor.memory": "2g",
        },
        env_vars={"SHOP_TOKEN": TOKEN, "SHOP": "north"},
        dag=DAG("d", schedule=None, params={"key": "rendered-4711-secret"}),
    )


def test_a_hidden_value_says_nothing_of_itself() -> None:
    value = HiddenValue(KEY)
    assert (str(value), repr(value), f"{value}", value.serialize()) == ("***",) * 4
    assert value == HiddenValue(KEY)
    assert value != HiddenValue(TOKEN)
    assert value != KEY
    assert len({value, HiddenValue(KEY)}) == 1


def test_what_is_hidden_can_be_revealed() -> None:
    settings = {"a.password": KEY, "b": "visible", "c.token": "{{ var.value.token }}"}
    shown = hidden(settings)
    assert {key: str(value) for key, value in shown.items()} == {**settings, "a.password": "***"}
    assert revealed(shown) == settings
    assert hidden({"b": "x"}) == {"b": "x"}
    assert revealed(None) is None


def test_the_serialized_dag_has_no_secret(operator: KindlingPipeOperator) -> None:
    text = json.dumps(DagSerialization.to_dict(operator.dag))
    assert KEY not in text
    assert TOKEN not in text
    assert "2g" in text
    assert "north" in text


def test_the_rendered_fields_have_no_secret(operator: KindlingPipeOperator) -> None:
    context: Any = {"params": {"key": "rendered-4711-secret"}}
    operator.render_template_fields(context)
    fields = _serialize_rendered_fields(operator)
    conf = {
        "spark.hadoop.fs.s3a.secret.key": "***",
        "spark.hadoop.fs.azure.account.key.lake": "***",
        "spark.executor.memory": "2g",
    }
    if isinstance(fields["conf"], str):  # Airflow 3.2 stores the text of what it cannot take apart
        shown = {**conf, "spark.hadoop.fs.s3a.secret.key": HiddenValue(KEY)}
        assert fields["conf"] == str(shown)
        assert fields["env_vars"] == "{'SHOP_TOKEN': ***, 'SHOP': 'north'}"
    else:
        assert fields["conf"] == conf
        assert fields["env_vars"] == {"SHOP_TOKEN": "***", "SHOP": "north"}


def test_what_is_logged_from_now_on_has_no_secret(operator: KindlingPipeOperator) -> None:
    context: Any = {"params": {"key": "rendered-4711-secret"}}
    operator.render_template_fields(context)
    line = f"--conf a={KEY} --conf b=rendered-4711-secret {TOKEN} end"
    assert redact(line) == "--conf a=*** --conf b=*** *** end"
    assert revealed(operator.conf) == {
        "spark.hadoop.fs.s3a.secret.key": KEY,
        "spark.hadoop.fs.azure.account.key.lake": "rendered-4711-secret",
        "spark.executor.memory": "2g",
    }
