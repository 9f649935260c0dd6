"""Creates the missing pools of a compiled DAG when a run of it starts.

A task whose pool does not exist stays ``scheduled`` forever, with one line in the scheduler's log
and nothing in the UI. So missing pools are created, unless ``[kindling] create_pools`` is off, and
pools that are still missing, or too small for a task, are listed in the run's note. Existing pools
are never changed. The work is done in a thread with its own session, because the scheduler calls
listeners while it forbids commits on its session.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.configuration import conf
from airflow.listeners import hookimpl

from kindling_airflow.common.pool_notes import uncounted_text
from kindling_airflow.common.shared_ids import DEFAULT_POOL
from kindling_airflow.pools import database
from kindling_airflow.pools.needs import (
    PoolNeed,
    compare,
    deferring_pools,
    needs_of_tasks,
)

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

__all__ = ["needed_pools", "on_dag_run_running", "provide_pools"]

log = logging.getLogger(__name__)
_TRIES = 5
T = TypeVar("T")


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001 (the hook has both)
    """Provide the pools of a run that starts."""
    dag = getattr(dag_run, "dag", None)
    needs = needed_pools(dag)
    if needs:
        deferring = deferring_pools(getattr(dag, "task_dict", {}).values())
        threading.Thread(
            target=provide_pools,
            args=(needs, getattr(dag_run, "id", None), deferring),
            name="kindling-pools",
            daemon=True,
        ).start()


def needed_pools(dag: Any) -> tuple[PoolNeed, ...]:
    """Return the pools that a DAG's pipes need."""
    tasks = getattr(dag, "task_dict", {}).values()
    return needs_of_tasks(getattr(dag, "dag_id", ""), tasks, getattr(dag, "max_active_tasks", 1))


def provide_pools(
    needs: Sequence[PoolNeed],
    dag_run_id: int | None = None,
    deferring: Collection[str] = (),
) -> None:
    """Create missing pools, and write into the note of the run what still keeps tasks waiting.

    Args:
        needs: the pools that a DAG needs.
        dag_run_id: the run's key in the database; None: no note.
        deferring: the pools of pipes that may be deferred.
    """
    wanted = {v.pool: v.wanted for v in compare(needs, {}) if v.pool != DEFAULT_POOL}
    if wanted and conf.getboolean("kindling", "create_pools", fallback=True):
        _tried(lambda: database.create_missing(wanted), f"Pools {sorted(wanted)}")
    existing = _tried(lambda: database.existing_pools(n.pool for n in needs), "The list of pools")
    if existing is None:
        return
    advice = [v.advice() for v in compare(needs, existing) if v.state.is_fatal]
    if deferring:
        uncounted = _tried(lambda: database.pools_without_deferred(deferring), "The list of pools")
        advice += map(uncounted_text, uncounted or ())
    if advice:
        text = "When this run started: " + "\n".join(advice)
        log.warning("Run %s: %s", dag_run_id, text)
        if dag_run_id is not None:
            _tried(lambda: database.add_note(dag_run_id, text), "The run's note")


def _tried(work: Callable[[], T], what: str) -> T | None:
    """Return the result of work on the database, retried on errors; None if it failed."""
    for attempt in range(1, _TRIES + 1):
        try:
            return work()
        except Exception:  # a locked or restarting database, or another scheduler
            if attempt < _TRIES:
                log.info("%s could not be created or read yet; retrying", what)
                time.sleep(attempt)
            else:
                log.exception("%s could not be created or read", what)
    return None
