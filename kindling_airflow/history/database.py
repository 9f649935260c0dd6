"""Airflow's database: the windows of a DAG's pipes, and the reports of its runs. Read-only.

For the API server, the scheduler and the command line; tasks and DAG files cannot reach the
database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from kindling_airflow.history.figures import HISTORY_KEY, RunFigures, window_of

__all__ = ["latest_windows", "xcom_value"]

_RUNS_LOOKED_AT = 50  # a pipe that ran in none of them, because others were selected, is left out


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


def xcom_value(row: Any) -> Any:
    """Return the value of an XCom's row; None where a custom backend cannot be reached."""
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
