"""Runs Airflow's own scheduler code on a database of its own, and prints what became of the pools.

A program, because Airflow binds a process to one database: ``python -m tests.plugin.real_scheduler
FOLDER`` with AIRFLOW_HOME in the environment. The last line of its output is a JSON object.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow._shared.timezones import timezone
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.executors.base_executor import BaseExecutor
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import event, select

from kindling_airflow.plugin import pool_listener
from kindling_airflow.pools import database
from kindling_airflow.pools.needs import PoolNeed

WAIT = 60.0


class NoExecutor(BaseExecutor):
    """Takes every task and runs none."""

    def sync(self) -> None:
        pass

    def end(self) -> None:
        pass

    def terminate(self) -> None:
        pass

    def queue_workload(self, workload: Any, session: Any) -> None:
        pass


class Scheduler:
    def __init__(self) -> None:
        job = Job()
        self._runner = SchedulerJobRunner(job=job, executors=[NoExecutor(parallelism=32)])
        with create_session() as session:
            session.add(job)

    def look(self) -> None:
        """Do what the scheduler does once per loop."""
        with create_session() as session:
            self._runner._do_scheduling(session)

    def look_until(self, done: Callable[[], bool]) -> bool:
        for _ in range(20):
            self.look()
            if done():
                return True
        return False


def store_dags(dags: Path) -> None:
    DagBundlesManager().sync_bundles_to_db()
    bag = BundleDagBag(dags, bundle_path=dags, bundle_name="dags-folder")
    assert bag.import_errors == {}, bag.import_errors
    sync_bag_to_db(bag, "dags-folder", None)


def trigger(dag_id: str) -> None:
    dag = SerializedDagModel.get_dag(dag_id)
    assert dag is not None
    with create_session() as session:
        dag.create_dagrun(
            run_id="run",
            logical_date=None,
            run_type=DagRunType.MANUAL,
            state=DagRunState.QUEUED,
            triggered_by=DagRunTriggeredByType.TEST,
            run_after=timezone.utcnow() - timedelta(minutes=1),  # SQLite's clock has whole seconds
            session=session,
        )


def pools() -> dict[str, list[Any]]:
    with create_session() as session:
        return {
            str(p.pool): [p.slots, p.description, p.include_deferred]
            for p in session.scalars(select(Pool))
        }


def states(dag_id: str) -> dict[str, str | None]:
    with create_session() as session:
        found = session.scalars(select(TaskInstance).where(TaskInstance.dag_id == dag_id))
        return {ti.task_id: ti.state for ti in found}


def settled() -> None:
    """Wait for the listener's threads."""
    for thread in threading.enumerate():
        if thread.name == "kindling-pools":
            thread.join(WAIT)


def late(scheduler: Scheduler) -> dict[str, Any]:
    """Let the listener's thread be slow: the tasks become ready before their pool is there."""
    open_gate, create = threading.Event(), database.create_missing

    def create_late(wanted: Mapping[str, int]) -> list[str]:
        open_gate.wait(WAIT)
        return create(wanted)

    database.create_missing = create_late
    trigger("late")
    assert scheduler.look_until(lambda: states("late")["a"] == "scheduled")
    scheduler.look()
    without = {"pool": "late_pool" in pools(), "states": states("late")}
    open_gate.set()
    settled()
    database.create_missing = create
    scheduler.look_until(lambda: states("late")["a"] == "queued")
    return {"without": without, "with": {"pool": "late_pool" in pools(), "states": states("late")}}


def race() -> dict[str, Any]:
    """Let two threads (as of two schedulers) see that a pool is missing before either makes it."""
    both_have_looked, seen = threading.Barrier(2, timeout=WAIT), threading.local()

    def meet(session: Any, *_: Any) -> None:
        if any(isinstance(new, Pool) for new in session.new) and not hasattr(seen, "met"):
            seen.met = True
            both_have_looked.wait()

    from airflow import settings

    needs = [PoolNeed("raced", "dag", 5, 1), PoolNeed("raced_too", "dag", 6, 1)]
    event.listen(settings.Session, "before_flush", meet)
    threads = [
        threading.Thread(target=pool_listener.provide_pools, args=(needs,)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    event.remove(settings.Session, "before_flush", meet)
    return {"met": both_have_looked.broken is False}


def forbidden(scheduler: Scheduler) -> dict[str, Any]:
    """Let the listener create nothing: one pool is missing, another too small for a task."""
    os.environ["AIRFLOW__KINDLING__CREATE_POOLS"] = "False"
    for dag_id in ("forbidden", "heavy"):
        trigger(dag_id)
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == "heavy")).one()
        run.note = ("Started by hand.", None)
    assert scheduler.look_until(lambda: states("heavy")["a"] == "scheduled")
    settled()
    with create_session() as session:
        runs = session.scalars(select(DagRun).where(DagRun.dag_id.in_(["forbidden", "heavy"])))
        notes = {run.dag_id: [run.note] for run in runs}
        keys = {run.dag_id: run.id for run in session.scalars(select(DagRun))}
    pool_listener.provide_pools([PoolNeed("forbidden_pool", "forbidden", 2, 1)], keys["forbidden"])
    pool_listener.provide_pools([PoolNeed("forbidden_pool", "forbidden", 2, 1)], 4711)
    with create_session() as session:
        for run in session.scalars(select(DagRun).where(DagRun.dag_id.in_(["forbidden"]))):
            notes[run.dag_id].append(run.note)
    del os.environ["AIRFLOW__KINDLING__CREATE_POOLS"]
    return {"notes": notes, "states": states("forbidden"), "pools": pools()}


def needed(dag: Any) -> dict[str, list[int]]:
    return {n.pool: [n.wanted, n.least] for n in pool_listener.needed_pools(dag)}


def command() -> list[Any]:
    """Call ``pools``, then ``pools --apply`` twice."""
    from kindling_airflow.cli.main import main as kindling_airflow

    said = []
    for arguments in ([], ["--apply"], ["--apply"]):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = kindling_airflow(["pools", "--json", *arguments])
        said.append([status, json.loads(printed.getvalue())])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        kindling_airflow(["pools"])
    return [*said, printed.getvalue()]


def main(dags: Path) -> dict[str, Any]:
    initdb()
    with create_session() as session:
        session.add(Pool(pool="tuned_pool", slots=7, description="ours", include_deferred=True))
        session.add(Pool(pool="small_pool", slots=2, description="", include_deferred=False))
    store_dags(dags)
    scheduler = Scheduler()
    for dag_id in ("shop", "tuned", "in_default_pool", "no_kindling"):
        trigger(dag_id)
    before = pools()
    assert scheduler.look_until(lambda: states("shop")["a"] is not None)
    settled()
    scheduler.look_until(lambda: states("shop")["a"] == "queued")
    answer = {
        "before": before,
        "after": pools(),
        "shop": states("shop"),
        "again": database.create_missing({"kindling_shop": 99, "more": 1}),
        "needed": {
            dag_id: needed(SerializedDagModel.get_dag(dag_id))
            for dag_id in ("shop", "tuned", "in_default_pool", "no_kindling", "overridden")
        },
        "stored": sorted({need.dag_id for need in database.needs_of_stored_dags()}),
        "folders": [str(folder) for folder in database.bundle_folders()],
        "late": late(scheduler),
        "race": race(),
        "forbidden": forbidden(scheduler),
    }
    return {**answer, "end": pools(), "command": command()}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
