"""Runs Airflow's own scheduler code on a database of its own, and prints what became of the pools.

A program, because Airflow binds a process to one database: ``python -m tests.plugin.real_scheduler
FOLDER`` with AIRFLOW_HOME in the environment. The last line of its output is a JSON object.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow._shared.timezones import timezone
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.executors.base_executor import BaseExecutor
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.pool import Pool
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import event, select

from kindling_airflow.plugin import pool_listener

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
    open_gate, create = threading.Event(), pool_listener._create_missing

    def create_late(needed: dict[str, int]) -> list[str]:
        open_gate.wait(WAIT)
        return create(needed)

    pool_listener._create_missing = create_late
    trigger("late")
    assert scheduler.look_until(lambda: states("late")["a"] == "scheduled")
    scheduler.look()
    without = {"pool": "late_pool" in pools(), "states": states("late")}
    open_gate.set()
    settled()
    pool_listener._create_missing = create
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

    created: list[list[str]] = []
    event.listen(settings.Session, "before_flush", meet)
    threads = [
        threading.Thread(
            target=lambda: created.append(
                pool_listener.create_missing_pools({"raced": 5, "raced_too": 6})
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    event.remove(settings.Session, "before_flush", meet)
    return {"created": sorted(created), "met": both_have_looked.broken is False}


def main(dags: Path) -> dict[str, Any]:
    initdb()
    with create_session() as session:
        session.add(Pool(pool="tuned_pool", slots=7, description="ours", include_deferred=True))
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
        "again": pool_listener.create_missing_pools({"kindling_shop": 99, "more": 1}),
        "needed": {
            dag_id: pool_listener.needed_pools(SerializedDagModel.get_dag(dag_id))
            for dag_id in ("shop", "tuned", "in_default_pool", "no_kindling")
        },
        "late": late(scheduler),
        "race": race(),
    }
    return {**answer, "end": pools()}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
