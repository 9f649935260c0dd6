"""Stops runs on a database of its own, with Airflow's own scheduler code between the looks.

A program, because Airflow binds a process to one database: ``python -m tests.cli.stopped_runs
FOLDER`` with AIRFLOW_HOME in the environment. The last line of its output is a JSON object.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select, update

from kindling_airflow.cli.main import main as kindling_airflow
from kindling_airflow.cli.stop import stopping
from tests.plugin.real_scheduler import Scheduler, store_dags

STREAMS = ("take", "clean")
WATCHING = ("ready_0", "ready_1")


def runs() -> dict[str, str]:
    """Return the states of the runs, in the order in which they began."""
    with create_session() as session:
        found = session.execute(select(DagRun.run_id, DagRun.state).order_by(DagRun.id))
        return {run_id: str(state) for run_id, state in found}


def last_run() -> str:
    return list(runs())[-1]


def states(run_id: str) -> dict[str, str | None]:
    with create_session() as session:
        found = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run_id))
        return {ti.task_id: ti.state for ti in found}


def put(run_id: str, state: str, *task_ids: str) -> None:
    """Do what a worker or the triggerer would."""
    with create_session() as session:
        which = (TaskInstance.run_id == run_id, TaskInstance.task_id.in_(task_ids))
        session.execute(update(TaskInstance).where(*which).values(state=state))


def look_until(scheduler: Scheduler, done: Callable[[], bool]) -> None:
    """Let the scheduler look until something is so; SQLite's clock has whole seconds."""
    for _ in range(100):
        if scheduler.look_until(done):
            return
        time.sleep(0.1)
    raise AssertionError(runs(), {name: states(name) for name in runs()})


def is_paused() -> bool:
    with create_session() as session:
        return bool(session.scalar(select(DagModel.is_paused)))


def steps(scheduler: Scheduler, seen: dict[str, Any]) -> Iterator[None]:
    """Let the world go on, from one look of ``stop`` to the next."""
    first = last_run()
    yield
    put(first, "success", *STREAMS)
    with create_session() as session:
        XComModel.set(
            key="kindling_report",
            value={"status": "published", "extra": {"drained": False}},
            dag_id="lake",
            task_id="clean",
            run_id=first,
            serialize=False,
            session=session,
        )
    yield
    seen["while the batch pipe waits"] = {"is_paused": is_paused(), "tally": states(first)["tally"]}
    look_until(scheduler, lambda: states(first)["tally"] == "queued")
    yield
    put(first, "success", "tally")
    look_until(scheduler, lambda: len(runs()) == 2 and runs()[last_run()] == "running")
    seen["before it is paused"] = list(runs().values())
    yield
    seen["then"] = {"is_paused": is_paused(), "stop": states(last_run())["stop_streams"]}
    yield
    put(last_run(), "success", *STREAMS, *WATCHING, "tally")
    while True:
        yield


def stopped(world: Iterator[None], *arguments: str) -> dict[str, Any]:
    """Call ``stop``; the world goes on where it would wait."""

    def wait(_seconds: float) -> None:
        next(world)

    stopping.time = SimpleNamespace(monotonic=time.monotonic, sleep=wait)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = kindling_airflow(["stop", "lake", *arguments])
    return {"status": status, "said": printed.getvalue().splitlines()}


def main(dags: Path) -> dict[str, Any]:
    initdb()
    store_dags(dags)
    scheduler = Scheduler()
    look_until(scheduler, lambda: "running" in runs().values())
    put(last_run(), "running", *STREAMS)
    put(last_run(), "success", *WATCHING)
    put(last_run(), "deferred", "stop_streams")
    seen: dict[str, Any] = {}
    end = stopped(steps(scheduler, seen))
    for number, run_id in enumerate(runs()):
        end["said"] = [line.replace(run_id, f"run {number}") for line in end["said"]]
    return {
        **seen,
        **end,
        "runs": list(runs().values()),
        "tasks": sorted({str(state) for run_id in runs() for state in states(run_id).values()}),
        "is_paused": is_paused(),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
