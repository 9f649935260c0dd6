"""A wrong choice of pipes is one error of the run, whatever the number of its tasks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from kindling_airflow.operators.start_checks import reject_selection, skip_unless_selected
from tests.builders import graph

GRAPH = graph("a -> c, b -> c, lone")


def ended(guard: Any, pipe_id: str, select: Any) -> tuple[str, str, Any]:
    """Return how a task ends, what it says, and whose callbacks are called."""
    task = SimpleNamespace(
        pipe_id=pipe_id, on_failure_callback=("tell",), on_skipped_callback=("tell",)
    )
    context = {
        "ti": SimpleNamespace(task=task),
        "dag_run": SimpleNamespace(conf={"select": select}),
    }
    try:
        guard(context)
    except AirflowFailException as error:
        return "failed", str(error), task.on_failure_callback
    except AirflowSkipException as error:
        return "skipped", str(error), task.on_skipped_callback
    return "runs", "", ()


@pytest.mark.parametrize("wrong", ["nowhere", "+", "tag:none=1", 5, {"a": 1}, [1], ["nowhere"]])
def test_one_task_fails_for_a_wrong_choice_and_the_others_are_skipped_in_silence(
    wrong: Any,
) -> None:
    guard = skip_unless_selected(lambda: GRAPH, reporting_pipe="a")
    ends = {pipe_id: ended(guard, pipe_id, wrong) for pipe_id in ("a", "b", "c", "lone")}
    assert {pipe_id: end[0] for pipe_id, end in ends.items()} == {
        "a": "failed",
        "b": "skipped",
        "c": "skipped",
        "lone": "skipped",
    }
    assert "'select' of this run selects no pipes: " in ends["a"][1]
    assert ends["a"][2] == ("tell",)
    assert all(ends[pipe_id][2] == () for pipe_id in ("b", "c", "lone"))
    assert "the failed task of pipe 'a' reports why" in ends["c"][1]


def test_a_right_choice_is_as_ever() -> None:
    guard = skip_unless_selected(lambda: GRAPH, reporting_pipe="a")
    for select in ("c", ["c"]):
        ends = [ended(guard, pipe_id, select)[0] for pipe_id in ("a", "b", "c", "lone")]
        assert ends == ["skipped", "skipped", "runs", "skipped"]
    assert ended(guard, "a", None)[0] == ended(guard, "a", "")[0] == "runs"


def test_without_a_spokesman_every_task_fails() -> None:
    assert ended(skip_unless_selected(lambda: GRAPH), "c", "nowhere")[0] == "failed"


def test_streams_all_fail_and_one_calls_back() -> None:
    guard = reject_selection(reporting_pipe="a")
    assert [ended(guard, pipe_id, "x")[::2] for pipe_id in ("a", "b")] == [
        ("failed", ("tell",)),
        ("failed", ()),
    ]
    assert ended(reject_selection(), "b", "x")[::2] == ("failed", ("tell",))
    assert ended(guard, "b", None)[0] == "runs"
