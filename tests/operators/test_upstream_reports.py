"""How the writer of a missing input has ended, as the reader's task finds out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from kindling_airflow.common.immutable import freeze
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.operators.upstream_reports import writer_end
from kindling_airflow.protocol.contracts import RunReport


def instance(
    states: dict[str, str], reports: dict[str, dict[str, Any]], task_id: str = "gold"
) -> Any:
    def get_task_states(*, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, run_ids) == ("dag", ["run"])
        return {"run": states} if states else {}

    def xcom_pull(*, task_ids: str, key: str) -> Any:
        assert key == "kindling_report"
        return reports.get(task_ids)

    return SimpleNamespace(
        dag_id="dag",
        run_id="run",
        task_id=task_id,
        get_task_states=get_task_states,
        xcom_pull=xcom_pull,
        xcom_push=lambda *_: None,
    )


def report(pipe: str, status: str = "skipped") -> dict[str, Any]:
    return {"pipe_id": pipe, "status": status, "inputs": []}


@pytest.mark.parametrize(
    ("states", "reports", "end"),
    [
        ({"silver.x": "skipped"}, {"silver.x": report("silver.x")}, "skipped"),
        ({"silver.x": "skipped"}, {}, "other"),  # not selected, or behind a branch
        ({"silver.x": "success"}, {"silver.x": report("silver.x", "published")}, "other"),
        ({"silver.x": "failed"}, {"silver.x": report("silver.x", "failed")}, "other"),
        ({"silver.x": "running"}, {}, "running"),
        ({}, {}, "other"),
        ({"g.silver.x": "skipped"}, {"g.silver.x": report("silver.x")}, "skipped"),
        # A pipe 'g.silver.x' of this DAG is another one.
        ({"g.silver.x": "skipped"}, {"g.silver.x": report("g.silver.x")}, "other"),
    ],
)
def test_the_report_of_the_writers_task_decides(
    states: dict[str, str], reports: dict[str, Any], end: str
) -> None:
    assert writer_end(instance(states, reports), "gold", "silver.x") == end


def test_the_task_of_the_own_group_comes_first() -> None:
    reports = {"a.silver": report("silver", "published"), "b.silver": report("silver")}
    ti = instance({"a.silver": "success", "b.silver": "skipped"}, reports, "b.gold")
    assert writer_end(ti, "gold", "silver") == "skipped"


@pytest.mark.parametrize("status", ["skipped", "published"])
def test_a_task_fails_where_the_table_should_be_there(tmp_path: Path, status: str) -> None:
    operator = KindlingPipeOperator(
        task_id="gold", pipe_id="gold", project_root=str(tmp_path), modules=["pipes"]
    )
    note = {"missing_inputs": {"silver": {"location": "/w/silver", "written_by": "silver"}}}
    operator._report = RunReport("k", "gold", "skipped", reason="nothing", extra=freeze(note))
    operator._ti = ti = instance(
        {"silver": "success"}, {"silver": report("silver", status)}, "gold"
    )
    ti.try_number, ti.max_tries = 1, 3
    request: Any = SimpleNamespace(attempt_key="k")
    context: Any = {"ti": ti}
    expected = AirflowSkipException if status == "skipped" else AirflowFailException
    with pytest.raises(expected) as raised:
        operator._judge(context, request, None)
    assert ("'silver' does not exist" in str(raised.value)) is (status == "published")
