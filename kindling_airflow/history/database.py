"""Airflow's database: the windows of a DAG's pipes, and the reports of its runs. Read-only.

For the API server, the scheduler and the command line; tasks and DAG files cannot reach the
database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kindling_airflow.common.run_figures import HISTORY_KEY, RunFigures, window_of
from kindling_airflow.history.dag_pipes import StoredPipe, pipes_of
from kindling_airflow.history.publications import Publication, publication_of
from kindling_airflow.history.slots import run_key
from kindling_airflow.history.usual_values import Usual
from kindling_airflow.operators.upstream_reports import REPORT_KEY

__all__ = [
    "StoredDag",
    "latest_windows",
    "publications",
    "runs_between",
    "stored_dag",
    "usual",
    "xcom_value",
]

_RUNS_LOOKED_AT = 50  # a pipe that ran in none of them, because others were selected, is left out


def usual(
    dag_id: str, *, before: datetime | None = None, session: Any = None
) -> Mapping[str, Usual]:
    """Return the usual values of the pipes of a DAG, by pipe id. Two queries, however many pipes.

    Pipes without a successful run are left out. Only where Airflow's database can be reached: on
    the API server, in the scheduler, in commands; tasks cannot.

    Args:
        dag_id: the DAG.
        before: look at runs of an earlier logical date only; default: at all.
        session: a session of Airflow's database; default: its own.
    """
    found = {
        pipe_id: Usual.of(runs) for pipe_id, runs in latest_windows(dag_id, before, session).items()
    }
    return {pipe_id: value for pipe_id, value in found.items() if value is not None}


def latest_windows(
    dag_id: str, before: datetime | None = None, session: Any = None
) -> Mapping[str, tuple[RunFigures, ...]]:
    """Return the newest window of each pipe of a DAG, by pipe id. Two queries.

    Args:
        dag_id: the DAG.
        before: look at runs of an earlier logical date only; default: at all.
        session: a session; default: its own.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from sqlalchemy import func, select

    when = func.coalesce(DagRun.logical_date, DagRun.run_after)
    runs = select(DagRun.id).where(DagRun.dag_id == dag_id).order_by(when.desc(), DagRun.id.desc())
    if before is not None:
        runs = runs.where(when < before)
    with _session(session) as own:
        ids = list(own.scalars(runs.limit(_RUNS_LOOKED_AT)))
        newest = func.row_number().over(
            partition_by=(XComModel.task_id, XComModel.map_index),
            order_by=(when.desc(), DagRun.id.desc()),
        )
        ranked = (
            select(
                XComModel.dag_run_id,
                XComModel.task_id,
                XComModel.map_index,
                newest.label("position"),
            )
            .join(DagRun, DagRun.id == XComModel.dag_run_id)
            .where(XComModel.dag_run_id.in_(ids), XComModel.key == HISTORY_KEY)
            .subquery()
        )
        query = (
            select(XComModel.task_id, XComModel.value)
            .join(
                ranked,
                (XComModel.dag_run_id == ranked.c.dag_run_id)
                & (XComModel.task_id == ranked.c.task_id)
                & (XComModel.map_index == ranked.c.map_index),
            )
            .where(ranked.c.position == 1, XComModel.key == HISTORY_KEY)
            .order_by(XComModel.task_id, XComModel.map_index)
        )
        windows = [window_of(xcom_value(row)) for row in own.execute(query)] if ids else []
    return {pipe_id: found for pipe_id, found in windows if found}


@dataclass(frozen=True, slots=True)
class StoredDag:
    """A DAG as Airflow has stored it last, and its batch pipes."""

    dag: Any
    pipes: tuple[StoredPipe, ...]


def stored_dag(dag_id: str, session: Any = None) -> StoredDag | None:
    """Return a DAG as Airflow has stored it last; None if it has not."""
    from airflow.models.serialized_dag import SerializedDagModel

    with _session(session) as own:
        row = SerializedDagModel.get(dag_id, session=own)
        if row is None:
            return None
        pipes = pipes_of(row.data or {})
        return StoredDag(row.dag, pipes)


def runs_between(
    dag_id: str, first: datetime, last: datetime, session: Any = None
) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """Return the states and confs of a DAG's runs in a range, by date or partition; the newest."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import or_, select

    query = select(DagRun.logical_date, DagRun.partition_key, DagRun.state, DagRun.conf).where(
        DagRun.dag_id == dag_id,
        or_(DagRun.logical_date.between(first, last), DagRun.partition_key.is_not(None)),
    )
    with _session(session) as own:
        rows = list(own.execute(query.order_by(DagRun.id)))
    return {
        run_key(row.logical_date, row.partition_key): (
            str(getattr(row.state, "value", row.state)),
            dict(row.conf or {}),
        )
        for row in rows
    }


def publications(
    dag_id: str,
    pipes: Collection[StoredPipe],
    *,
    first: datetime | None = None,
    last: datetime | None = None,
    limit: int | None = None,
    session: Any = None,
) -> tuple[Publication, ...]:
    """Return what the runs of a DAG have published or skipped, newest first. Two queries.

    A task that is cleared loses its XComs; the events of its assets stay. Without assets there are
    only the XComs.

    Args:
        dag_id: the DAG.
        pipes: its pipes.
        first: only runs whose data interval touches the range from here, and those without one.
        last: the end of the range.
        limit: of the newest.
        session: a session; default: its own.
    """
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from sqlalchemy import and_, or_, select

    def touching(query: Any) -> Any:
        if first is None or last is None:
            return query
        inside = and_(DagRun.data_interval_start <= last, DagRun.data_interval_end >= first)
        outside = DagRun.data_interval_start.is_(None)
        return query.where(or_(inside, outside))

    run = (DagRun.data_interval_start, DagRun.data_interval_end)
    assets = sorted({pipe.asset for pipe in pipes if pipe.asset})
    events = touching(
        select(
            AssetEvent.extra,
            AssetEvent.source_task_id,
            AssetEvent.source_run_id,
            AssetEvent.timestamp,
            *run,
        )
        .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        .outerjoin(
            DagRun,
            (DagRun.dag_id == AssetEvent.source_dag_id)
            & (DagRun.run_id == AssetEvent.source_run_id),
        )
        .where(AssetModel.name.in_(assets), AssetEvent.source_dag_id == dag_id)
        .order_by(AssetEvent.timestamp.desc(), AssetEvent.id.desc())
    )
    xcoms = touching(
        select(XComModel.value, XComModel.task_id, XComModel.run_id, XComModel.timestamp, *run)
        .join(DagRun, DagRun.id == XComModel.dag_run_id)
        .where(
            XComModel.dag_id == dag_id,
            XComModel.key == REPORT_KEY,
            XComModel.task_id.in_(sorted(pipe.task_id for pipe in pipes)),
        )
        .order_by(XComModel.timestamp.desc())
    )
    found: dict[tuple[str, str, str], Publication] = {}
    with _session(session) as own:
        for row in own.execute(xcoms.limit(limit)):
            _add(found, xcom_value(row), row.task_id, row.run_id, row)
        for row in own.execute(events.limit(limit)) if assets else ():
            report = row.extra.get(REPORT_KEY) if isinstance(row.extra, Mapping) else None
            _add(found, report, row.source_task_id, row.source_run_id, row)
    ordered = sorted(found.values(), key=lambda item: item.at, reverse=True)
    return tuple(ordered[:limit])


def _add(
    found: dict[tuple[str, str, str], Publication],
    report: object,
    task_id: str | None,
    run_id: str | None,
    row: Any,
) -> None:
    """Add what a report says; of the same attempt, the earlier time counts."""
    start, end = row.data_interval_start, row.data_interval_end
    interval = (start, end) if start is not None and end is not None and start < end else None
    item = publication_of(
        report,
        task_id=task_id or "",
        run_id=run_id or "",
        at=row.timestamp,
        interval=interval,
    )
    if item is not None:
        key = item.run_id, item.task_id, item.attempt
        known = found.get(key)
        if known is None or item.at < known.at:
            found[key] = item


def xcom_value(row: Any) -> Any:
    """Return the value of an XCom's row; None where a custom backend cannot be reached.

    What this package stores is plain JSON. Airflow's own way to read a value walks through all of
    it, which is most of the time for a thousand windows.
    """
    if isinstance(row.value, dict) and "pipe_id" in row.value:
        return row.value
    from airflow.sdk.execution_time.xcom import XCom

    with suppress(Exception):
        return XCom.deserialize_value(row)
    return None


@contextmanager
def _session(given: Any) -> Iterator[Any]:
    if given is not None:
        yield given
        return
    from airflow.utils.session import create_session

    with create_session() as session:
        yield session
