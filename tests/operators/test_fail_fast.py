"""The question before a pipe begins: has another of its run failed?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from kindling_airflow.operators.start_checks import fail_after_failure


class Run:
    """A task instance, as far as it is asked for the states of its run."""

    dag_id, run_id, task_id = "shop", "run 1", "g.b"

    def __init__(self, **states: str) -> None:
        self.states = {name.replace("__", "."): state for name, state in states.items()}
        self.task = SimpleNamespace(on_failure_callback=[print])
        self.asked: list[str] = []

    def get_ti_count(self, *, dag_id: str, run_ids: list[str], states: list[str]) -> int:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        self.asked.append("count")
        return sum(state in states for state in self.states.values())

    def get_task_states(self, *, dag_id: str, run_ids: list[str]) -> dict[str, dict[str, str]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        self.asked.append("states")
        return {self.run_id: self.states}


def ask(run: Run, prefix: str = "") -> None:
    context: Any = {"ti": run}
    fail_after_failure(prefix)(context)


def test_a_pipe_begins_where_nothing_failed_and_asks_for_one_number() -> None:
    run = Run(a="success", b="running", c="skipped", d="up_for_retry", e="upstream_failed")
    ask(run)
    assert run.asked == ["count"]
    assert run.task.on_failure_callback == [print]


def test_a_pipe_is_not_begun_where_one_failed_and_says_which() -> None:
    with pytest.raises(AirflowFailException) as refused:
        ask(Run(b="failed", a="failed", c="success"))
    assert str(refused.value) == (
        "'g.b' was not started: 'a', 'b' failed in this run, and on_error is 'fail_fast'\n"
        "  Fix: correct the cause, then clear the failed tasks of this run."
    )


def test_many_failures_are_named_in_part() -> None:
    with pytest.raises(AirflowFailException) as refused:
        ask(Run(**{f"t{n}": "failed" for n in range(8)}))
    assert "'t0', 't1', 't2', 't3', 't4' and 3 more failed in this run" in str(refused.value)


def test_nobody_is_called_for_what_was_not_begun() -> None:
    run = Run(a="failed")
    with pytest.raises(AirflowFailException):
        ask(run)
    assert run.task.on_failure_callback == ()


def test_in_a_group_only_the_failures_of_the_group_count() -> None:
    ask(Run(other="failed", go__a="failed"), prefix="g.")
    with pytest.raises(AirflowFailException):
        ask(Run(other="failed", g__a="failed"), prefix="g.")
