"""Sees to the pools of a compiled DAG when a run of it starts.

A task whose pool does not exist stays ``scheduled`` for ever, with one line in the scheduler's log
and nothing in the UI. So a missing pool is created, unless ``[kindling] create_pools`` says
otherwise; and where one is still missing, or too small for a task, the run's note says so, which is
what people see who look why nothing happens. An existing pool is never touched: somebody may have
tuned it. The work is done in a thread of its own with a session of its own, because the scheduler
calls listeners while it forbids commits on its session; the tasks are picked up at the scheduler's
next look.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.configuration import conf
from airflow.listeners import hookimpl

from kindling_airflow.pools import database
from kindling_airflow.pools.needs import DEFAULT_POOL, PoolNeed, compare, needs_of_tasks

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

__all__ = ["needed_pools", "on_dag_run_running", "see_to_pools"]

log = logging.getLogger(__name__)
_TRIES = 5
T = TypeVar("T")


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001 (the hook has both)
    """See to the pools of a run that starts."""
    needs = needed_pools(getattr(dag_run, "dag", None))
    if needs:
        threading.Thread(
            target=see_to_pools,
            args=(needs, getattr(dag_run, "id", None)),
            name="kindling-pools",
            daemon=True,
        ).start()


def needed_pools(dag: Any) -> tuple[PoolNeed, ...]:
    """Return what a DAG's pipes need of pools."""
    tasks = getattr(dag, "task_dict", {}).values()
    return needs_of_tasks(getattr(dag, "dag_id", ""), tasks, getattr(dag, "max_active_tasks", 1))


def see_to_pools(needs: Sequence[PoolNeed], dag_run_id: int | None = None) -> None:
    """Create what is missing; say what still keeps tasks waiting in the note of the run.

    Args:
        needs: what a DAG needs.
        dag_run_id: the run's key in the database; None says nothing.
    """
    wanted = {v.pool: v.wanted for v in compare(needs, {}) if v.pool != DEFAULT_POOL}
    if wanted and conf.getboolean("kindling", "create_pools", fallback=True):
        _tried(lambda: database.create_missing(wanted), f"Pools {sorted(wanted)}")
    existing = _tried(lambda: database.existing_pools(n.pool for n in needs), "The list of pools")
    if existing is None:
        return
    advice = [v.advice() for v in compare(needs, existing) if v.state.is_fatal]
    if advice:
        text = "When this run started: " + "\n".join(advice)
        log.warning("Run %s: %s", dag_run_id, text)
        if dag_run_id is not None:
            _tried(lambda: database.add_note(dag_run_id, text), "The run's note")


def _tried(work: Callable[[], T], what: str) -> T | None:
    """Do something with the database, a few times if need be; None where it could not be done."""
    for attempt in range(1, _TRIES + 1):
        try:
            return work()
        except Exception:  # a locked or restarting database, or another scheduler was quicker
            if attempt < _TRIES:
                log.info("%s: not seen to yet", what)
                time.sleep(attempt)
            else:
                log.exception("%s: could not be seen to", what)
    return None
