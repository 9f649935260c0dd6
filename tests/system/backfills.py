"""Backfills of one DAG on a throw-away Airflow: made by Airflow's own command, and watched."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from demo.local_airflow import LocalAirflow


class Backfills:
    """The backfills of a DAG.

    Args:
        airflow: a running deployment, with SQLite.
        dag_id: the DAG; it is not paused.
    """

    def __init__(self, airflow: LocalAirflow, dag_id: str) -> None:
        self.airflow, self.api, self.dag_id = airflow, airflow.api, dag_id

    def create(self, first: str, last: str, *options: str) -> str:
        """Create a backfill while Airflow holds still, and return what the command says.

        SQLite refuses to write what was read before another process wrote, at once, and Airflow
        leaves half a backfill then. A database that serves several processes does not.
        """
        days = ("--from-date", first, "--to-date", last)
        with self.holding_still():
            done = self.airflow.run("backfill", "create", "--dag-id", self.dag_id, *days, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        """End the backfill before: Airflow looks every 30 seconds whether it is over.

        Its runs must not be cleared then: Airflow holds back what is of a backfill that was
        cancelled.
        """
        found = self.api._call("GET", f"/backfills?dag_id={self.dag_id}")
        assert found is not None
        for backfill in found["backfills"]:
            if backfill["completed_at"] is None:
                self.api._call("PUT", f"/backfills/{backfill['id']}/cancel")

    def wait(self, seconds: float = 900) -> None:
        """Return when all runs of backfills have ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            runs = self.runs()
            if runs and all(run["state"] in ("success", "failed") for run in runs):
                return
            time.sleep(0.5)
        raise AssertionError(f"not over: {self.runs()}")

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs of all backfills, in the order of their dates."""
        return [run for run in self.api.runs(self.dag_id) if run["run_type"] == "backfill"]

    def run_of(self, day: str) -> dict[str, Any]:
        """Return the run whose interval begins at a day."""
        (run,) = [r for r in self.runs() if r["data_interval_start"].startswith(day)]
        return run

    @contextmanager
    def holding_still(self) -> Iterator[None]:
        """Suspend the processes of this Airflow, none of which is just writing."""
        process = self.airflow._process
        assert process is not None
        family = psutil.Process(process.pid).children(recursive=True)
        for _ in range(20):
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.suspend()
            if self._can_write():
                break
            _resume(family)
            time.sleep(0.2)
        try:
            yield
        finally:
            _resume(family)

    def _can_write(self) -> bool:
        connection = sqlite3.connect(self.airflow.home / "airflow.db", timeout=1)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        finally:
            connection.close()
        return True


def _resume(family: Iterable[psutil.Process]) -> None:
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.resume()
