"""Run-time selection: a run for some pipes only, by ``select`` in its conf or in the UI's form.

    airflow dags trigger shop --conf '{"select": "gold.x+"}'

A pipe that is not chosen is skipped as it starts, without a driver; what it has written stays as it
is, and whoever reads from it runs on that. The choice is made by each task for itself, from the
plan that its worker has compiled anyway, so that a run without a choice pays nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from kindling_airflow.errors import SelectionError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kindling_airflow.pipe_graph import PipeGraph

__all__ = ["CHOICE", "refuses_choice", "skips_unless_chosen"]

CHOICE = "select"


def skips_unless_chosen(
    graph: Callable[[], PipeGraph], key: str = CHOICE, spokesman: str | None = None
) -> Callable[[Context], None]:
    """Return what a pipe's task calls before it begins; it raises if the run is not for the pipe.

    A choice that is wrong is one error and not one for each pipe: the task of one pipe fails, which
    fails the run, and the others are skipped.

    Args:
        graph: makes the graph of the plan's pipes; called only by a run that selects some.
        key: the entry of the run's conf, or the param, that says which pipes the run is for.
        spokesman: the pipe whose task fails if the choice is wrong; it waits for no other. None:
            every task fails.
    """

    def before_execution(context: Context) -> None:
        chosen = _said(context, key)
        if not chosen:
            _refuse_empty_list(context, key, chosen)
            return
        from kindling_airflow.selection import select

        task: Any = context["ti"].task
        try:
            pipes = select(graph(), chosen)
        except SelectionError as error:
            if spokesman not in (None, task.pipe_id):
                task.on_skipped_callback = ()
                raise AirflowSkipException(
                    f"{key!r} of this run selects no pipes; the task of pipe {spokesman!r} has "
                    "failed for it, and says why."
                ) from None
            raise AirflowFailException(f"{key!r} of this run selects no pipes: {error}") from error
        if task.pipe_id not in pipes:
            task.on_skipped_callback = ()  # nobody waits for the news that all is as it was
            raise AirflowSkipException(
                f"Pipe {task.pipe_id!r} is none of those that this run is for ({key}: {chosen!r})."
            )

    return before_execution


def refuses_choice(key: str = CHOICE, spokesman: str | None = None) -> Callable[[Context], None]:
    """Return what a task calls before it begins where a run is for all pipes or for none.

    Streams wait for each other's readiness, so a run with some of them would wait for ever.

    Args:
        key: the entry of the run's conf, or the param, that would say which pipes the run is for.
        spokesman: the pipe whose task has its callbacks called for it; None: every task has.
    """

    def before_execution(context: Context) -> None:
        chosen = _said(context, key)
        if chosen:
            task: Any = getattr(context.get("ti"), "task", None)
            if task is not None and spokesman not in (None, getattr(task, "pipe_id", None)):
                task.on_failure_callback = ()  # one piece of news, not one for each stream
            raise AirflowFailException(
                f"This run is to be for some pipes ({key}: {chosen!r}), but the streams of a plan "
                "run together, because they wait until each other is ready.\n"
                f"  Fix: start a run without {key!r}; with lifetime: available_now it can choose."
            )

    return before_execution


def _refuse_empty_list(context: Context, key: str, chosen: Any) -> None:
    """Refuse ``select: []`` in a run's conf: it is not all pipes that are asked for by it.

    An empty text is what the form of the UI sends where nothing was filled in, and so is an empty
    list where that is the default of the DAG's param.
    """
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    if key not in conf or not isinstance(chosen, (list, tuple)):
        return
    defaults: Mapping[str, Any] = getattr(context.get("dag"), "params", None) or {}
    if key in defaults and defaults[key] == chosen:
        return
    raise AirflowFailException(
        f"{key!r} of this run is an empty list, which selects no pipes\n"
        f"  Fix: name some, or leave {key!r} out for all of them."
    )


def _said(context: Mapping[str, Any], key: str) -> Any:
    conf = getattr(context.get("dag_run"), "conf", None) or {}
    params: Mapping[str, Any] = context.get("params") or {}
    said = conf[key] if key in conf else params.get(key)
    return said.strip() if isinstance(said, str) else said
