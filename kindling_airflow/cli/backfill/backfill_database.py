"""Airflow's database: the stored DAG of a backfill, and its runs. Read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timezone
from typing import Any

from kindling_airflow.cli.backfill.backfill_plan import Slot, StoredDag


def stored_dag(
    dag_id: str, slots: Sequence[Slot]
) -> tuple[StoredDag, Mapping[str, tuple[str, Mapping[str, Any]]]]:
    """Return a DAG as stored, and the states and confs of its runs in a range.

    Args:
        dag_id: the DAG.
        slots: the range; of several runs of one date or partition the newest counts.

    Raises:
        SQLAlchemyError: the database is not available.
    """
    from airflow.models.backfill import Backfill
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import or_, select

    with create_session() as session:
        model = session.scalar(select(DagModel).where(DagModel.dag_id == dag_id))
        paused = model is not None and bool(model.is_paused)
        under_way = select(Backfill.id).where(
            Backfill.dag_id == dag_id, Backfill.completed_at.is_(None)
        )
        backfill = session.scalar(under_way)
        rows: list[Any] = []
        if slots:
            first, last = min(slot.start for slot in slots), max(slot.end for slot in slots)
            within = or_(
                DagRun.logical_date.between(first, last),
                DagRun.partition_key.in_([slot.key for slot in slots]),
            )
            found = select(
                DagRun.logical_date, DagRun.partition_key, DagRun.state, DagRun.conf
            ).where(DagRun.dag_id == dag_id, within)
            rows = list(session.execute(found.order_by(DagRun.id)))
    dag = None if model is None else SerializedDagModel.get_dag(dag_id)
    past = dag is not None and any(task.depends_on_past for task in dag.task_dict.values())
    return StoredDag(dag is not None, paused, backfill, past), dict(map(_run, rows))


def _run(row: Any) -> tuple[str, tuple[str, Mapping[str, Any]]]:
    day, partition, state, conf = row
    key = partition or day.astimezone(timezone.utc).isoformat()
    return str(key), (str(getattr(state, "value", state)), dict(conf or {}))
