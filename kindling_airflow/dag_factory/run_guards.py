"""Composes what each pipe's task does before it runs, from the definition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.definitions.dag_parts import DagParts
from kindling_airflow.operators.start_checks import (
    fail_after_failure,
    identify_code,
    reject_selection,
    skip_unless_any_selected,
    skip_unless_selected,
    warn_of_drift,
)
from kindling_airflow.translator import OnError, SessionSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

Guard = Callable[[Any], None]


def run_guard(parts: DagParts, group_id: str = "", then: Guard | None = None) -> Guard:
    """Return one function for all tasks of a definition.

    Args:
        parts: the definition with the parts of its DAG.
        group_id: the group that the tasks are in, if they are part of another DAG; its selection
            is ``select.<group_id>``.
        then: what the definition sets to be called before a pipe.
    """
    prefix = f"{group_id}." if group_id else ""
    outline = parts.outline
    if outline.stop:
        guards = [reject_selection(_choice(group_id), outline.first_pipe)]
    else:
        guards = [skip_unless_selected(parts.graph, _choice(group_id), outline.first_pipe)]
    if outline.on_error == OnError.FAIL_FAST:
        guards.append(fail_after_failure(prefix))

    def upstream(task_id: str) -> Sequence[str]:
        return [prefix + name for name in parts.upstream(task_id.removeprefix(prefix))]

    return _all([*guards, identify_code(parts.code), warn_of_drift(upstream)], then)


def stream_guard(parts: DagParts, group_id: str = "", then: Guard | None = None) -> Guard:
    """Return one function for all streams of a definition that run until they are stopped.

    A retried stream starts whatever else failed in the run; it drains if the run is to stop.

    Args:
        parts: the definition with the parts of its DAG.
        group_id: the group that the tasks are in, if they are part of another DAG.
        then: what the definition sets to be called before a pipe.
    """
    guards = [reject_selection(_choice(group_id), parts.outline.first_pipe)]
    return _all([*guards, identify_code(parts.code)], then)


def session_guard(parts: DagParts, session: SessionSpec, prefix: str = "") -> Guard:
    """Return a function that skips a session of whose pipes none is selected in the run.

    It also records which code of the project the session is for.

    Args:
        parts: the definition with the parts of its DAG.
        session: the session.
        prefix: of the ids of all tasks, if they are part of another DAG.
    """

    def identify(context: Context) -> None:
        task: Any = context["ti"].task
        task.code = parts.code()

    choice = _choice(prefix.removesuffix("."))
    return _all([skip_unless_any_selected(parts.graph, session.pipe_ids, choice)], identify)


def _choice(group_id: str) -> str:
    return f"{SELECT_PARAM}.{group_id}" if group_id else SELECT_PARAM


def _all(guards: Sequence[Guard], then: Guard | None) -> Guard:
    every = (*guards, *(() if then is None else (then,)))

    def before_execution(context: Context) -> None:
        for guard in every:
            guard(context)

    return before_execution
