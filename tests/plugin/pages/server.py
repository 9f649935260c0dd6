"""The program of ``world``: ``python -m tests.plugin.pages.server DAGS PORT``."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from airflow.api_fastapi.app import create_app
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import event, select, update
from sqlalchemy.engine import Engine

BEGAN = datetime(2026, 3, 1, 8, tzinfo=timezone.utc)
statements: list[str] = []


@event.listens_for(Engine, "before_cursor_execute")
def _count(_: Any, __: Any, statement: str, *more: Any) -> None:
    statements.append(statement)


def ping() -> str:
    return "pong"


def cost() -> list[str]:
    """Return the statements since the last call."""
    found = statements[:]
    statements.clear()
    return found


def store(dags: str) -> None:
    """Store the DAGs of a folder, as the DAG processor does."""
    bag = BundleDagBag(Path(dags), bundle_path=Path(dags), bundle_name="dags-folder")
    assert bag.import_errors == {}, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        session.execute(update(DagModel).values(is_paused=False))


def trigger(dag_id: str, run_id: str, conf: Any = None, hours: float = 0) -> None:
    """Start a run."""
    dag = SerializedDagModel.get_dag(dag_id)
    assert dag is not None
    with create_session() as session:
        run = dag.create_dagrun(
            run_id=run_id,
            logical_date=None,
            run_type=DagRunType.MANUAL,
            state=DagRunState.RUNNING,
            triggered_by=DagRunTriggeredByType.TEST,
            run_after=BEGAN + timedelta(hours=hours),
            conf=conf,
            session=session,
        )
        run.start_date = BEGAN + timedelta(hours=hours)


def run_is(dag_id: str, run_id: str, **values: Any) -> None:
    """Set a run's state or end."""
    if "end" in values:
        values["end_date"] = BEGAN + timedelta(seconds=values.pop("end"))
    if "state" in values:
        values["_state"] = values.pop("state")
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        for name, value in values.items():
            setattr(run, name, value)


def task_is(
    dag_id: str,
    run_id: str,
    task_id: str | list[str],
    state: str | None,
    *,
    start: float | None = None,
    end: float | None = None,
    tries: int = 1,
) -> None:
    """Set the state of tasks; times are seconds of the run."""
    names = [task_id] if isinstance(task_id, str) else task_id
    where = update(TaskInstance).where(
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id.in_(names),
    )
    values = {
        "state": state,
        "try_number": tries,
        "start_date": None if start is None else BEGAN + timedelta(seconds=start),
        "end_date": None if end is None else BEGAN + timedelta(seconds=end),
    }
    with create_session() as session:
        session.execute(where.values(**values))


def all_tasks_are(dag_id: str, run_id: str, state: str | None) -> int:
    """Set the state of every task of a run; return how many there are."""
    with create_session() as session:
        names = session.scalars(
            select(TaskInstance.task_id).where(
                TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id
            )
        ).all()
    task_is(dag_id, run_id, list(names), state, start=0, end=9)
    return len(names)


def xcom(dag_id: str, run_id: str, task_id: str, key: str, value: Any) -> None:
    """Store an XCom as the API does for a task."""
    where = {"dag_id": dag_id, "task_id": task_id, "run_id": run_id}
    XComModel.set(key, value, **where, serialize=False)


def pool(name: str, slots: int) -> None:
    """Create a pool."""
    Pool.create_or_update_pool(name, slots, description="", include_deferred=False)


def main() -> None:
    """Serve until the standard input ends."""
    dags, port = sys.argv[1:]
    out, sys.stdout = sys.stdout, sys.stderr
    initdb()
    DagBundlesManager().sync_bundles_to_db()
    store(dags)
    config = uvicorn.Config(create_app(), host="127.0.0.1", port=int(port), log_level="warning")
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run, daemon=True)
    serving.start()
    while not server.started:
        assert serving.is_alive(), "the API server did not start"
        time.sleep(0.05)
    httpx.get(f"http://127.0.0.1:{port}/api/v2/version").raise_for_status()
    commands: dict[str, Callable[..., Any]] = {
        f.__name__: f
        for f in (ping, cost, store, trigger, run_is, task_is, all_tasks_are, xcom, pool)
    }
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(f"ANSWER {json.dumps(commands[name](**arguments))}", file=out, flush=True)
    server.should_exit = True
    serving.join()


if __name__ == "__main__":
    main()
