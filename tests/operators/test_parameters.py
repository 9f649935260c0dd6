"""The parameters of a run: params, and what else the run's conf holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kindling_airflow.errors import PipeRunError
from kindling_airflow.operators.parameters import run_parameters
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import RunRequest


def context(params: Any, conf: Any) -> dict[str, Any]:
    return {"params": params, "dag_run": SimpleNamespace(conf=conf)}


def test_a_param_wins_over_an_entry_of_the_conf() -> None:
    assert run_parameters(context({"a": 1, "b": [None]}, {"a": 2, "c": "x"})) == {
        "a": 1,
        "b": [None],
        "c": "x",
    }


@pytest.mark.parametrize("said", [{}, {"dag_run": None}, context(None, None), context({}, {})])
def test_a_run_without_any_has_none(said: dict[str, Any]) -> None:
    assert run_parameters(said) == {}


def test_what_json_cannot_express_is_refused_by_name_and_not_by_value() -> None:
    with pytest.raises(PipeRunError) as refused:
        run_parameters(context({"a": {1, 2}, "b": float("nan"), "fine": 1}, {"c": object()}))
    assert str(refused.value) == (
        "Parameters of the run cannot be expressed in JSON: 'c', 'a', 'b'\n"
        "  Fix: use text, numbers, true, false, null, lists and objects."
    )


def test_the_request_of_a_task_has_them() -> None:
    operator = KindlingPipeOperator(
        task_id="task", pipe_id="pipe", project_root="/p", modules=["m"], warehouse="/w"
    )
    ti = SimpleNamespace(dag_id="dag", run_id="run", task_id="task", try_number=1)
    said = {**context({"country": "NL"}, {"more": [1]}), "ti": ti}
    request = operator._request(said)
    assert request.parameters == {"country": "NL", "more": [1]}
    assert RunRequest.loads(request.dumps()).parameters == {"country": "NL", "more": (1,)}
