"""What the pages ask of Airflow's database: a fixed number of queries, whatever the size.

A refresh is two: the run with those of its tasks that changed, and the pools of its tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow.models import dag, dagrun
from airflow.models.dag_version import DagVersion
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, func, or_, select, true

from kindling_airflow.operators.driver.stream_watch import PROGRESS_KEY
from kindling_airflow.operators.upstream_reports import REPORT_KEY
from kindling_airflow.run_view.changes import Found

__all__ = ["Refresh", "StoredVersion", "newest_runs", "pools", "refresh", "task_xcoms", "version"]

# SQLAlchemy's types know nothing of synonyms.
DagRun: Any = dagrun.DagRun
DagModel: Any = dag.DagModel
_MOST_RUNS = 50
_MOST_ROWS = 900
_COUNTED = ("running", "queued", "scheduled", "deferred")


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version of a DAG: its number, a key that changes when its content does, and the content."""

    number: int
    key: tuple[str, str]
    read: Any


@dataclass(frozen=True, slots=True)
class Refresh:
    """A run, and those of its tasks that changed.

    Attributes:
        run: the run as the page reads it.
        rows: the tasks, by their ids.
        is_cut: whether there are more.
    """

    run: dict[str, Any]
    rows: list[Found]
    is_cut: bool


def newest_runs(session: Any, dag_id: str) -> list[list[Any]]:
    """Return the newest runs of a DAG: id, state, and when each was due."""
    query = (
        select(DagRun.run_id, DagRun.state, DagRun.run_after)
        .where(DagRun.dag_id == dag_id)
        .order_by(DagRun.run_after.desc(), DagRun.id.desc())
        .limit(_MOST_RUNS)
    )
    return [[name, state, milliseconds(due)] for name, state, due in session.execute(query)]


def version(session: Any, dag_id: str, run_id: str | None) -> StoredVersion | None:
    """Return the version of a DAG that a run uses, or its latest; None where there is none.

    A run of an unversioned bundle goes on with the latest version: that of its tasks counts.
    """
    query = (
        select(
            DagVersion.version_number,
            SerializedDagModel.id,
            SerializedDagModel.dag_hash,
        )
        .join(SerializedDagModel, SerializedDagModel.dag_version_id == DagVersion.id)
        .where(DagVersion.dag_id == dag_id)
    )
    if run_id is None:
        query = query.order_by(DagVersion.version_number.desc())
    else:
        query = query.where(DagVersion.version_number == _number_of_run(dag_id, run_id))
    row = session.execute(query.limit(1)).first()
    if row is None:
        return None
    number, stored_id, digest = row

    def read() -> Mapping[str, Any]:
        stored = session.get(SerializedDagModel, stored_id)
        return stored.data or {} if stored is not None else {}

    return StoredVersion(number, (str(stored_id), digest), read)


def _number_of_run(dag_id: str, run_id: str) -> Any:
    """Return a subquery with the number of the version that a run uses."""
    of_tasks = (
        select(func.max(DagVersion.version_number))
        .join(TaskInstance, TaskInstance.dag_version_id == DagVersion.id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .scalar_subquery()
    )
    created = (
        select(DagVersion.version_number)
        .join(DagRun, DagRun.created_dag_version_id == DagVersion.id)
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        .scalar_subquery()
    )
    latest = (
        select(func.max(DagVersion.version_number))
        .where(DagVersion.dag_id == dag_id)
        .scalar_subquery()
    )
    return func.coalesce(of_tasks, created, latest)


def refresh(
    session: Any, dag_id: str, run_id: str, *, since: int, after: str, is_whole: bool = False
) -> Refresh | None:
    """Return a run with the tasks that changed; None where there is no such run.

    Args:
        session: of the database.
        dag_id: the DAG.
        run_id: the run.
        since: tasks that changed from then on, in milliseconds since 1970.
        after: tasks behind this one.
        is_whole: return all of them, however many there are.
    """
    xcoms = and_(
        XComModel.dag_run_id == DagRun.id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key.in_((REPORT_KEY, PROGRESS_KEY)),
    )
    changed = (
        select(
            TaskInstance.task_id,
            TaskInstance.state.label("task_state"),
            TaskInstance.try_number,
            TaskInstance.queued_dttm,
            TaskInstance.start_date.label("task_start"),
            TaskInstance.end_date.label("task_end"),
            XComModel.key,
            XComModel.value,
        )
        .select_from(TaskInstance)
        .join(DagRun, and_(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        .outerjoin(XComModel, xcoms)
        .where(
            TaskInstance.dag_id == dag_id,
            TaskInstance.run_id == run_id,
            TaskInstance.map_index == -1,
        )
        .order_by(TaskInstance.task_id, XComModel.key)
    )
    if since:
        moment = datetime.fromtimestamp(since / 1000, timezone.utc)
        changed = changed.where(
            or_(TaskInstance.updated_at >= moment, XComModel.timestamp >= moment)
        )
    if after:
        changed = changed.where(TaskInstance.task_id > after)
    if not is_whole:
        changed = changed.limit(_MOST_ROWS + 1)
    found = changed.subquery()
    query = (
        select(
            DagRun.state,
            DagRun.queued_at,
            DagRun.start_date,
            DagRun.end_date,
            DagRun.conf,
            DagModel.is_paused,
            _number_of_run(dag_id, run_id),
            *found.c,
        )
        .select_from(DagRun)
        .join(DagModel, DagModel.dag_id == DagRun.dag_id)
        .outerjoin(found, true())
        .where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        .order_by(found.c.task_id, found.c.key)
    )
    rows = session.execute(query).all()
    if not rows:
        return None
    state, queued, start, end, conf, is_paused, number, *_ = rows[0]
    run = {
        "state": state,
        "queued": milliseconds(queued),
        "start": milliseconds(start),
        "end": milliseconds(end),
        "paused": is_paused,
        "version": number,
        "conf": conf,
    }
    is_cut = not is_whole and len(rows) > _MOST_ROWS
    shown = rows[:_MOST_ROWS] if is_cut else rows
    return Refresh(run, [_found(row[7:]) for row in shown if row[7] is not None], is_cut)


def _found(row: Sequence[Any]) -> Found:
    name, state, tries, queued, start, end, key, value = row
    times = [milliseconds(time) for time in (queued, start, end)]
    return Found(name, state, tries, times[0], times[1], times[2], key, value)


def pools(session: Any, dag_id: str, run_id: str) -> list[list[Any]]:
    """Return the pools of a run's tasks: name, slots, and the slots that tasks of any DAG take.

    These are, in this order, of running, queued, scheduled and deferred tasks, and last whether
    deferred ones count.
    """
    of_run = select(TaskInstance.pool).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id
    )
    query = (
        select(
            Pool.pool,
            Pool.slots,
            Pool.include_deferred,
            TaskInstance.state,
            func.sum(TaskInstance.pool_slots),
        )
        .outerjoin(
            TaskInstance, and_(TaskInstance.pool == Pool.pool, TaskInstance.state.in_(_COUNTED))
        )
        .where(Pool.pool.in_(of_run))
        .group_by(Pool.pool, Pool.slots, Pool.include_deferred, TaskInstance.state)
        .order_by(Pool.pool)
    )
    found: dict[str, list[Any]] = {}
    for name, slots, counts_deferred, state, taken in session.execute(query):
        entry = found.setdefault(name, [name, slots, 0, 0, 0, 0, bool(counts_deferred)])
        if state in _COUNTED:
            entry[2 + _COUNTED.index(state)] = int(taken)
    return list(found.values())


def task_xcoms(
    session: Any, dag_id: str, run_id: str, task_id: str, keys: Sequence[str]
) -> dict[str, Any]:
    """Return XComs of a task instance by key, as they are stored."""
    query = select(XComModel.key, XComModel.value).where(
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == task_id,
        XComModel.map_index == -1,
        XComModel.key.in_(keys),
    )
    return {key: value for key, value in session.execute(query)}  # noqa: C416 (rows, not pairs)


def milliseconds(moment: datetime | None) -> int | None:
    """Return a time in milliseconds since 1970."""
    return None if moment is None else round(moment.timestamp() * 1000)
