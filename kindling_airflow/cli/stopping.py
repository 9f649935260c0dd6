"""``stop``: the streams of a DAG drain, sources first, and its runs end.

An ``@continuous`` DAG would start again at once, so it is paused unless ``--restart`` is said. Not
before its streams have ended, though: Airflow begins nothing of a paused DAG, and a stream that
fails on the way has to be taken up once more to bring in what is there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from kindling_airflow.cli.inside_airflow import asked_of_database
from kindling_airflow.cli.stop_database import (
    StreamingDag,
    StreamingRun,
    close_run,
    pause,
    running_runs,
    streaming_dag,
    tell_to_stop,
)
from kindling_airflow.errors import KindlingAirflowError, WrongCallError
from kindling_airflow.triggers.run_states import ended

__all__ = ["stop_streams"]

_LOOK_SECONDS = 0.5


def stop_streams(called: argparse.Namespace) -> int:
    """Stop the streams of a DAG and wait for the end; status 1 if it does not come in time."""
    stopping = asked_of_database(called, "stop", _stopped)
    if called.json:
        print(json.dumps(stopping.to_json(), indent=2))
    return 0 if stopping.is_over else 1


def _stopped(called: argparse.Namespace) -> _Stopping:
    dag = streaming_dag(called.dag_id)
    stopping = _Stopping(
        dag, called.wait, restarts=called.restart, say=_silent if called.json else _print
    )
    stopping.begin(called.run_id)
    stopping.wait()
    return stopping


class _Stopping:
    """The way of runs to their ends.

    Args:
        dag: their DAG.
        seconds: how long to wait.
        restarts: whether the DAG goes on afterwards.
        say: takes lines for people.
    """

    def __init__(
        self, dag: StreamingDag, seconds: float, *, restarts: bool, say: Callable[[str], None]
    ) -> None:
        self.is_over = False
        self._dag = dag
        self._seconds = seconds
        self._restarts = restarts
        self._say = say
        self._is_paused = dag.is_paused
        self._run_ids: list[str] = []
        self._runs: list[StreamingRun] = []
        self._said = ""

    def begin(self, run_id: str | None) -> None:
        """Tell the streams.

        Raises:
            KindlingAirflowError: nothing is running.
        """
        dag_id = self._dag.dag_id
        runs = running_runs(dag_id, None if run_id is None else [run_id])
        if run_id is not None and not runs:
            raise WrongCallError(f"DAG {dag_id!r} has no run {run_id!r}")
        if run_id is not None and runs[0].state != "running":
            raise KindlingAirflowError(
                f"run {run_id!r} of DAG {dag_id!r} is not running, but {runs[0].state}: there is "
                "nothing to stop"
            )
        if not runs:
            if not self._restarts:
                self._pause()
            paused = "" if self._restarts else "; it is paused, so none will be"
            raise KindlingAirflowError(f"no run of DAG {dag_id!r} is running{paused}")
        self._runs = runs
        self._run_ids = [run.run_id for run in runs]
        for name in self._run_ids:
            tell_to_stop(self._dag, name)
            self._say(f"{dag_id} {name}: told to stop")

    def wait(self) -> None:
        """Return when the runs have ended, or the time is over."""
        deadline = time.monotonic() + self._seconds
        while not self._look():
            if time.monotonic() >= deadline:
                if not self._restarts:
                    self._pause()
                self._tell_late()
                return
            time.sleep(_LOOK_SECONDS)
        self.is_over = True
        for run in self._runs:
            self._say(f"{self._dag.dag_id} {run.run_id}: {run.state}")

    def to_json(self) -> dict[str, object]:
        """Return what has become of the runs."""
        return {
            "dag_id": self._dag.dag_id,
            "is_paused": self._is_paused,
            "runs": [
                {"run_id": run.run_id, "state": run.state, "tasks": dict(run.tasks)}
                for run in self._runs
            ],
        }

    def _look(self) -> bool:
        """Look at the runs; return whether they have ended."""
        self._runs = running_runs(self._dag.dag_id, self._run_ids)
        running = [run for run in self._runs if run.state == "running"]
        self._tell(running)
        if not all(ended(run.tasks, task_id) for run in running for task_id in self._dag.streams):
            return False
        if not self._restarts:
            self._pause()
        if self._is_paused:
            self._close(running)
        return not running

    def _close(self, running: list[StreamingRun]) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        for run in running:
            with suppress(SQLAlchemyError):  # the scheduler was quicker, or will be; look again
                close_run(self._dag.dag_id, run.run_id)

    def _pause(self) -> None:
        if not self._is_paused:
            pause(self._dag.dag_id)
            self._is_paused = True
            self._say(f"{self._dag.dag_id}: paused")

    def _tell(self, running: list[StreamingRun]) -> None:
        """Say how the streams are, if that is new."""
        for run in running:
            counts = Counter(run.tasks.get(task_id) or "waiting" for task_id in self._dag.streams)
            text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            line = f"{self._dag.dag_id} {run.run_id}: streams: {text}"
            if line != self._said:
                self._said = line
                self._say(line)

    def _tell_late(self) -> None:
        for run in self._runs:
            alive = [t for t in self._dag.streams if not ended(run.tasks, t)]
            told = ", ".join(f"{t!r} ({run.tasks[t] or 'waiting'})" for t in alive)
            self._say(
                f"{self._dag.dag_id} {run.run_id}: not over after {self._seconds:g} s: "
                f"{told or 'its streams have ended'}"
            )
        self._say("  Fix: call it again to wait on; the logs of these tasks say what they do.")


def _print(text: str) -> None:
    print(text, flush=True)


def _silent(_text: str) -> None:
    """Say nothing: the document comes at the end."""
