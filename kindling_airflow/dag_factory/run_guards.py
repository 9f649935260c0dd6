"""What each pipe's task does before it begins, put together from what its definition says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kindling_airflow.definitions.compile import Compiled
from kindling_airflow.operators.start_checks import (
    fail_after_failure,
    reject_selection,
    skip_unless_selected,
    warn_of_plan_drift,
)
from kindling_airflow.selection import SELECT_PARAM
from kindling_airflow.translator import OnError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["run_guard", "stream_guard"]

Guard = Callable[[Any], None]


def run_guard(compiled: Compiled, group_id: str = "", then: Guard | None = None) -> Guard:
    """Return one function for all tasks of a definition.

    Args:
        compiled: the definition and what follows from it.
        group_id: the group that the tasks are in, if they are not a DAG of their own; it has a
            choice of its own, ``select.<group_id>``.
        then: what the definition itself wants to have called before a pipe.
    """
    prefix = f"{group_id}." if group_id else ""
    if compiled.spec.stop is None:
        first = _first_pipe(compiled)
        guards = [skip_unless_selected(compiled.plan.graph, _choice(group_id), first)]
    else:
        guards = [reject_selection(_choice(group_id), _first_pipe(compiled))]
    if compiled.spec.on_error == OnError.FAIL_FAST:
        guards.append(fail_after_failure(prefix))
    guards.append(warn_of_plan_drift(lambda task_id: _upstream(compiled, prefix, task_id)))
    return _all(guards, then)


def stream_guard(compiled: Compiled, group_id: str = "", then: Guard | None = None) -> Guard:
    """Return one function for all streams of a definition that live until they are stopped.

    Whatever else failed in the run, a stream that is tried again is one: it drains, if it is to.

    Args:
        compiled: the definition and what follows from it.
        group_id: the group that the tasks are in, if they are not a DAG of their own.
        then: what the definition itself wants to have called before a pipe.
    """
    return _all([reject_selection(_choice(group_id), _first_pipe(compiled))], then)


def _first_pipe(compiled: Compiled) -> str | None:
    """Return a pipe whose task waits for no other, the same in every worker."""
    return next((task.pipe_id for task in compiled.spec.tasks() if not task.upstream), None)


def _choice(group_id: str) -> str:
    return f"{SELECT_PARAM}.{group_id}" if group_id else SELECT_PARAM


def _all(guards: Sequence[Guard], then: Guard | None) -> Guard:
    every = (*guards, *(() if then is None else (then,)))

    def before_execution(context: Context) -> None:
        for guard in every:
            guard(context)

    return before_execution


def _upstream(compiled: Compiled, prefix: str, task_id: str) -> Sequence[str]:
    found = compiled.spec.find(task_id.removeprefix(prefix))
    return () if found is None else [prefix + name for name in found.upstream]
