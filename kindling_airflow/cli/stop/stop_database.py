"""Airflow's database: the runs of a DAG with streams, and their stop tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.errors import WrongCallError

_STOP, _STREAM = "StopStreamsOperator", "KindlingStreamOperator"


@dataclass(frozen=True, slots=True)
class StreamingDag:
    """A DAG with long-running streams.

    Attributes:
        dag_id: its id.
        stops: the tasks whose end asks the streams to stop.
        streams: the tasks of the streams.
        is_paused: whether it is paused.
        empties: the tasks that Airflow ends without a worker.
    """

    dag_id: str
    stops: tuple[str, ...]
    streams: tuple[str, ...]
    is_paused: bool
    empties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StreamingRun:
    """A run: its state, and the states of its tasks by task id (and index, of a mapped one)."""

    run_id: str
    state: str
    tasks: Mapping[str, str | None] = field(default_factory=lambda: EMPTY)


def streaming_dag(dag_id: str) -> StreamingDag:
    """Return a DAG as stored by Airflow.

    Raises:
        WrongCallError: it is not stored, or has nothing to stop.
    """
    from airflow.models.dag import DagModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        model = session.scalar(select(DagModel).where(DagModel.dag_id == dag_id))
        known = [] if model is not None else list(session.scalars(select(DagModel.dag_id)))
        is_paused = model is not None and bool(model.is_paused)
    dag = None if model is None else SerializedDagModel.get_dag(dag_id)
    if dag is None:
        raise WrongCallError(f"DAG not found in Airflow: {dag_id!r}.{did_you_mean(dag_id, known)}")
    tasks: list[Any] = list(dag.task_dict.values())
    stops = tuple([task.task_id for task in tasks if task.task_type == _STOP])
    if not stops:
        raise WrongCallError(
            f"DAG {dag_id!r} has no long-running streams: its runs end by themselves"
        )
    streams = tuple([task.task_id for task in tasks if task.task_type == _STREAM])
    empties = frozenset([task.task_id for task in tasks if not _needs_worker(task)])
    return StreamingDag(dag_id, stops, streams, is_paused, empties)


def running_runs(dag_id: str, run_ids: Sequence[str] | None = None) -> list[StreamingRun]:
    """Return runs with the states of their tasks.

    Args:
        dag_id: the DAG.
        run_ids: runs in any state; None: all running ones.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    which = DagRun.state == "running" if run_ids is None else DagRun.run_id.in_(run_ids)
    query = select(DagRun.run_id, DagRun.state).where(DagRun.dag_id == dag_id, which)
    with create_session() as session:
        runs = {run_id: _text(state) for run_id, state in session.execute(query)}
        tasks: dict[str, dict[str, str | None]] = {run_id: {} for run_id in runs}
        columns = (TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
        of_runs = select(*columns, TaskInstance.state).where(
            TaskInstance.dag_id == dag_id, TaskInstance.run_id.in_(list(runs))
        )
        for run_id, task_id, index, state in session.execute(of_runs):
            tasks[run_id][task_id if index < 0 else f"{task_id}[{index}]"] = _text(state)
    return [StreamingRun(run_id, str(state), tasks[run_id]) for run_id, state in runs.items()]


def request_stop(dag: StreamingDag, run_id: str) -> None:
    """Mark the stop tasks of a run as success, as in the UI."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    stored: Any = SerializedDagModel.get_dag(dag.dag_id)
    with create_session() as session:
        for task_id in dag.stops:
            stored.set_task_instance_state(
                task_id=task_id,
                run_id=run_id,
                state=TaskInstanceState.SUCCESS,
                commit=True,
                session=session,
            )


def set_paused(dag_id: str, *, is_paused: bool) -> None:
    """Pause or unpause a DAG."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        which = update(DagModel).where(DagModel.dag_id == dag_id)
        session.execute(which.values(is_paused=is_paused))


def undrained(dag: StreamingDag, run_id: str) -> list[str]:
    """Return the streams of a run that succeeded before they had processed all available data."""
    from airflow.models.xcom import XComModel
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from kindling_airflow.operators.upstream_reports import REPORT_KEY

    query = select(XComModel).where(
        XComModel.dag_id == dag.dag_id,
        XComModel.run_id == run_id,
        XComModel.key == REPORT_KEY,
        XComModel.task_id.in_(dag.streams),
    )
    found = []
    with create_session() as session:
        for xcom in session.scalars(query):
            report: Any = None
            with suppress(Exception):  # a custom backend may be out of reach of this process
                report = XCom.deserialize_value(xcom)
            if isinstance(report, Mapping) and report.get("extra", EMPTY).get("drained") is False:
                found.append(xcom.task_id)
    return sorted(found, key=dag.streams.index)


def close_run(dag_id: str, run_id: str) -> None:
    """End a run of a paused DAG, and its tasks without a worker, as the scheduler would.

    Tasks that need a worker are not changed, nor is a run that the scheduler has locked.
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    dag: Any = SerializedDagModel.get_dag(dag_id)
    with create_session() as session:
        query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        run: Any = session.scalar(query.with_for_update(of=DagRun, skip_locked=True))
        if run is None:
            return
        run.dag = dag
        ready, _ = run.update_state(session=session, execute_callbacks=False)
        empty = [ti for ti in ready if not _needs_worker(ti.task)]
        if empty:
            run.schedule_tis(empty, session=session)
            session.flush()
            run.update_state(session=session, execute_callbacks=False)


def _needs_worker(task: Any) -> bool:
    """Return whether a task needs a worker; the scheduler ends the others itself."""
    if not task.inherits_from_empty_operator:
        return True
    noticed = ("has_on_execute_callback", "has_on_success_callback", "inlets", "outlets")
    return any(getattr(task, name, None) for name in noticed)


def _text(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))
