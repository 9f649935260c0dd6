"""What each pipe's task does before it begins, put together from what its definition says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kindling_airflow.definitions.compile import Compiled
from kindling_airflow.operators.chosen_pipes import CHOICE, refuses_choice, skips_unless_chosen
from kindling_airflow.operators.fail_fast import refuses_after_failure
from kindling_airflow.operators.start_checks import tells_of_earlier_plans
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
        guards = [skips_unless_chosen(compiled.plan.graph, _choice(group_id), first)]
    else:
        guards = [refuses_choice(_choice(group_id), _first_pipe(compiled))]
    if compiled.spec.on_error == OnError.FAIL_FAST:
        guards.append(refuses_after_failure(prefix))
    guards.append(tells_of_earlier_plans(lambda task_id: _upstream(compiled, prefix, task_id)))
    return _all(guards, then)


def stream_guard(compiled: Compiled, group_id: str = "", then: Guard | None = None) -> Guard:
    """Return one function for all streams of a definition that live until they are stopped.

    Whatever else failed in the run, a stream that is tried again is one: it drains, if it is to.

    Args:
        compiled: the definition and what follows from it.
        group_id: the group that the tasks are in, if they are not a DAG of their own.
        then: what the definition itself wants to have called before a pipe.
    """
    return _all([refuses_choice(_choice(group_id), _first_pipe(compiled))], then)


def _first_pipe(compiled: Compiled) -> str | None:
    """Return a pipe whose task waits for no other, the same in every worker."""
    return next((task.pipe_id for task in compiled.spec.tasks() if not task.upstream), None)


def _choice(group_id: str) -> str:
    return f"{CHOICE}.{group_id}" if group_id else CHOICE


def _all(guards: Sequence[Guard], then: Guard | None) -> Guard:
    every = (*guards, *(() if then is None else (then,)))

    def before_execution(context: Context) -> None:
        for guard in every:
            guard(context)

    return before_execution


def _upstream(compiled: Compiled, prefix: str, task_id: str) -> Sequence[str]:
    found = compiled.spec.find(task_id.removeprefix(prefix))
    return () if found is None else [prefix + name for name in found.upstream]
