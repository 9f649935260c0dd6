"""Airflow's database: its pools, and the needs of its DAGs.

For the scheduler and the command line, which can reach the database; tasks and DAG files cannot.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from kindling_airflow.pools.needs import PoolNeed, needs_of_tasks

__all__ = [
    "add_note",
    "bundle_folders",
    "create_missing",
    "existing_pools",
    "needs_of_stored_dags",
    "pools_without_deferred",
]

log = logging.getLogger(__name__)
_DESCRIPTION = "Created by airflow-provider-kindling; tune its slots freely."
_LONGEST_NOTE = 1000


def existing_pools(names: Iterable[str] | None = None) -> dict[str, int]:
    """Return the slots of pools by name.

    Args:
        names: the pools; default: all.
    """
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(Pool.pool, Pool.slots)
    if names is not None:
        query = query.where(Pool.pool.in_(sorted(names)))
    with create_session() as session:
        return {str(name): int(slots) for name, slots in session.execute(query)}


def pools_without_deferred(names: Iterable[str]) -> list[str]:
    """Return those of some pools in which a deferred task takes no slot, sorted."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(Pool.pool).where(Pool.pool.in_(sorted(names)), ~Pool.include_deferred)
    with create_session() as session:
        return sorted(map(str, session.scalars(query)))


def create_missing(wanted: Mapping[str, int]) -> list[str]:
    """Create the pools that do not exist, and return their names; others are not changed.

    They count deferred tasks: a pipe that waits in the triggerer for a shared session still takes
    its slot.

    Args:
        wanted: the slots of each pool.
    """
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    created = []
    with create_session() as session:
        existing = set(session.scalars(select(Pool.pool).where(Pool.pool.in_(wanted))))
        for name, slots in sorted(wanted.items()):
            if name not in existing:
                session.add(
                    Pool(pool=name, slots=slots, description=_DESCRIPTION, include_deferred=True)
                )
                created.append(name)
    if created:
        log.info("Created missing pools: %s", {name: wanted[name] for name in created})
    return created


def add_note(dag_run_id: int, text: str) -> None:
    """Append a text to the note of a run, which the UI shows, unless the note contains it.

    Args:
        dag_run_id: the run's key in the database.
        text: the text.
    """
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.get(DagRun, dag_run_id)
        if run is None or text in (run.note or ""):
            return
        note = f"{run.note}\n\n{text}" if run.note else text
        if run.dag_run_note is None:
            run.note = note[:_LONGEST_NOTE]
        else:
            run.dag_run_note.content = note[:_LONGEST_NOTE]


def needs_of_stored_dags() -> list[PoolNeed]:
    """Return the needs of the stored DAGs, from their newest versions."""
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(DagModel.dag_id).where(~DagModel.is_stale).order_by(DagModel.dag_id)
        dag_ids = list(session.scalars(query))
    found: list[PoolNeed] = []
    for dag_id in dag_ids:
        dag = SerializedDagModel.get_dag(dag_id)
        if dag is not None:
            found += needs_of_tasks(dag_id, dag.task_dict.values(), dag.max_active_tasks)
    return found


def bundle_folders() -> list[Path]:
    """Return the folders of DAG files that are on this machine."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    folders = []
    manager = DagBundlesManager()  # type: ignore[no-untyped-call]
    for bundle in manager.get_all_dag_bundles():
        try:
            path = Path(bundle.path)
        except Exception as error:  # a remote one may not be fetched yet
            log.info("Bundle %r is not on this machine: %s", bundle.name, error)
            continue
        if path.is_dir():
            folders.append(path)
    return folders
