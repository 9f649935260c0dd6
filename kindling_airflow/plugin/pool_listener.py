"""Creates the pool of a compiled DAG when its first run starts and the pool is missing.

A task whose pool does not exist stays ``scheduled`` for ever, with one line in the scheduler's log
and nothing in the UI. An existing pool is never touched: an operator may have tuned it. The work is
done in a thread of its own with a session of its own, because the scheduler calls listeners while
it forbids commits on its session; the tasks are picked up at the scheduler's next look.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

__all__ = ["create_missing_pools", "needed_pools", "on_dag_run_running"]

log = logging.getLogger(__name__)
_TASK_TYPE = "KindlingPipeOperator"
_TRIES = 5


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001 (the hook has both)
    """See to the pools of a run that starts."""
    needed = needed_pools(getattr(dag_run, "dag", None))
    if needed:
        threading.Thread(
            target=create_missing_pools, args=(needed,), name="kindling-pools", daemon=True
        ).start()


def needed_pools(dag: Any) -> dict[str, int]:
    """Return the pools that a DAG's pipes want, with their slots: the tasks' own or its width."""
    tasks = getattr(dag, "task_dict", {}).values()
    return {
        task.pool: getattr(task, "pool_width", None) or dag.max_active_tasks
        for task in tasks
        if getattr(task, "task_type", None) == _TASK_TYPE and task.pool != "default_pool"
    }


def create_missing_pools(needed: dict[str, int]) -> list[str]:
    """Create the pools that do not exist, and return their names."""
    for attempt in range(1, _TRIES + 1):
        try:
            return _create_missing(needed)
        except Exception:  # a locked or restarting database, or another scheduler was quicker
            if attempt < _TRIES:
                log.info("Pools %s not seen to yet", sorted(needed))
                time.sleep(attempt)
            else:
                log.exception(
                    "Pools %s could not be created; their tasks wait until somebody creates them",
                    sorted(needed),
                )
    return []


def _create_missing(needed: dict[str, int]) -> list[str]:
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    created = []
    with create_session() as session:
        existing = set(session.scalars(select(Pool.pool).where(Pool.pool.in_(needed))))
        for name, slots in sorted(needed.items()):
            if name not in existing:
                session.add(
                    Pool(
                        pool=name,
                        slots=slots,
                        description="Created by airflow-provider-kindling; tune its slots freely.",
                        include_deferred=False,
                    )
                )
                created.append(name)
    if created:
        log.info("Created missing pools: %s", {name: needed[name] for name in created})
    return created
