"""``on_error: fail_fast`` at the start of a task: where a pipe of the run has failed, none begins.

Airflow's own ``DAG(fail_fast=True)`` kills the pipes that run, skips the others, and then calls the
run a success where its leaves were skipped. Here what runs may end, and a pipe that is not begun
fails without a driver; whatever reads from it is ``upstream_failed`` without even a worker. So the
run is red, and "clear failed tasks" takes it up where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from kindling_airflow.common.wording import first_of

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["refuses_after_failure"]

_MOST_NAMED = 5


def refuses_after_failure(prefix: str = "") -> Callable[[Context], None]:
    """Return what a task calls before it begins; it raises if a task of the run has failed.

    A pipe that is not begun is no news: who wants to hear of failures has heard of the one that is
    the cause, so ``on_failure_callback`` is not called for it.

    Args:
        prefix: what the ids of the tasks begin with whose failures count; default: all of the DAG.
    """

    def before_execution(context: Context) -> None:
        ti: Any = context["ti"]
        run = {"dag_id": ti.dag_id, "run_ids": [ti.run_id]}
        if not ti.get_ti_count(states=["failed"], **run):  # one number, whatever the DAG's size
            return
        states = ti.get_task_states(**run).get(ti.run_id, {})
        failed = sorted(t for t, state in states.items() if state == "failed")
        own = [task_id for task_id in failed if task_id.startswith(prefix)]
        if own:
            ti.task.on_failure_callback = ()
            raise AirflowFailException(_text(ti.task_id, own))

    return before_execution


def _text(task_id: str, failed: list[str]) -> str:
    named = first_of(list(map(repr, failed)), _MOST_NAMED)
    return (
        f"{task_id!r} was not begun: {named} of this run failed, and on_error is "
        "'fail_fast'.\n  Fix: mend what failed, then clear the failed tasks of this run."
    )
