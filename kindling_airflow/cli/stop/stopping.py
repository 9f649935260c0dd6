"""``stop``: drains the streams of a DAG, sources first, and waits until its runs have ended.

An ``@continuous`` DAG would start again at once, so it is paused unless ``--restart`` is given, but
only after all tasks that need a worker have ended: Airflow starts no tasks of a paused DAG, and a
stream that fails while it drains has to be retried, as a batch pipe beside streams has to run. The
next run may have started by then; it is stopped as well.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kindling_airflow.cli.inside_airflow import asked_of_database
from kindling_airflow.cli.interrupts import INTERRUPTED
from kindling_airflow.cli.stop.stop_database import (
    StreamingDag,
    StreamingRun,
    close_run,
    request_stop,
    running_runs,
    set_paused,
    streaming_dag,
    undrained,
)
from kindling_airflow.common.wording import first_of
from kindling_airflow.errors import KindlingAirflowError, WrongCallError
from kindling_airflow.triggers.run_states import ended, named

_POLL_SECONDS = 0.5
_SETTLE_SECONDS = 3.0  # for a scheduler that read the DAG just before it was paused
_IN_HAND = frozenset({"queued", "running", "deferred", "restarting"})  # paused DAG or not
_MOST = 5


def stop_streams(args: argparse.Namespace) -> int:
    """Stop the streams of a DAG and wait for the end of its runs.

    The status is 1 if that does not come in time, or a stream ended before it had processed all
    available data.
    """
    stopping = asked_of_database(args, "stop", _stopped)
    if args.json:
        print(json.dumps(stopping.to_json(), indent=2))
    return stopping.status


def _stopped(args: argparse.Namespace) -> _Stopping:
    dag = streaming_dag(args.dag_id)
    say = (lambda _text: None) if args.json else partial(print, flush=True)
    stopping = _Stopping(dag, args.wait, restarts=args.restart, say=say)
    stopping.begin(args.run_id)
    try:
        stopping.wait()
    except KeyboardInterrupt:
        stopping.interrupt()
    return stopping


class _Stopping:
    """Stops runs and follows them to their ends, for so many seconds; None: no limit."""

    def __init__(
        self,
        dag: StreamingDag,
        seconds: float | None,
        *,
        restarts: bool,
        say: Callable[[str], None],
    ) -> None:
        self.status = 1
        self._dag = dag
        self._seconds = seconds
        self._restarts = restarts
        self._say = say
        self._is_paused = dag.is_paused
        self._pauses = dag.is_paused or not restarts
        self._run_ids: list[str] = []
        self._others: frozenset[str] = frozenset()
        self._runs: list[StreamingRun] = []
        self._undrained: dict[str, list[str]] = {}
        self._last_texts: dict[str, str] = {}

    def begin(self, run_id: str | None) -> None:
        """Ask the streams to drain.

        Raises:
            KindlingAirflowError: nothing is running.
        """
        dag_id = self._dag.dag_id
        runs = running_runs(dag_id, None if run_id is None else [run_id])
        if run_id is not None and not runs:
            raise WrongCallError(f"DAG {dag_id!r} has no run {run_id!r}")
        if run_id is not None and runs[0].state != "running":
            raise KindlingAirflowError(
                f"run {run_id!r} of DAG {dag_id!r} is not running but {runs[0].state}: nothing to "
                "stop"
            )
        if run_id is not None:
            self._others = frozenset([r.run_id for r in running_runs(dag_id)]) - {run_id}
        if not runs and not self._restarts:
            runs = self._paused_just_now()
        if not runs:
            paused = "" if self._restarts else "; it is paused, so none will start"
            raise KindlingAirflowError(f"no run of DAG {dag_id!r} is running{paused}")
        self._take_up(runs)

    def wait(self) -> None:
        """Return when the runs have ended, or the time is over."""
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        while not self._look():
            if deadline is not None and time.monotonic() >= deadline:
                self._show_unended(f"after {self._seconds:g} s")
                return
            time.sleep(_POLL_SECONDS)
        for run in self._runs:
            self._say(f"{self._dag.dag_id} {run.run_id}: {run.state}")
            if short := undrained(self._dag, run.run_id):
                self._undrained[run.run_id] = short
        self._show_undrained()
        self.status = 1 if self._undrained else 0

    def interrupt(self) -> None:
        """Print the state of the runs, because waiting was interrupted."""
        self.status = INTERRUPTED
        self._show_unended("yet")

    def to_json(self) -> dict[str, object]:
        """Return the states of the runs as a JSON document."""
        return {
            "dag_id": self._dag.dag_id,
            "is_paused": self._is_paused,
            "runs": [
                {
                    "run_id": run.run_id,
                    "state": run.state,
                    "tasks": dict(run.tasks),
                    "undrained": self._undrained.get(run.run_id, []),
                }
                for run in self._runs
            ],
        }

    def _take_up(self, runs: list[StreamingRun]) -> None:
        self._runs += runs
        for run in runs:
            self._run_ids.append(run.run_id)
            request_stop(self._dag, run.run_id)
            self._say(f"{self._dag.dag_id} {run.run_id}: stop requested")

    def _look(self) -> bool:
        """Check the runs and do what is due; return whether they have ended."""
        self._runs = running_runs(self._dag.dag_id, self._run_ids)
        running = [run for run in self._runs if run.state == "running"]
        self._show(running)
        unended = [run.tasks[name] for run in running for name in self._unended(run)]
        if unended:
            if self._is_paused and not _IN_HAND.issuperset(unended):
                self._set_paused(False, "not paused for now: tasks still have to start")
            return False
        if self._pauses and not self._is_paused and (next_ones := self._paused_just_now()):
            self._take_up(next_ones)
            return False
        if self._is_paused:
            self._close(running)
        return not running

    def _unended(self, run: StreamingRun) -> list[str]:
        """Return the tasks of a run that need a worker and have not ended."""
        tasks = run.tasks
        return [name for name in tasks if not ended(tasks, name) and name not in self._dag.empties]

    def _close(self, running: list[StreamingRun]) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        for run in running:
            with suppress(SQLAlchemyError):  # the scheduler was quicker; checked again
                close_run(self._dag.dag_id, run.run_id)

    def _paused_just_now(self) -> list[StreamingRun]:
        """Pause the DAG; return the runs that have started before that took effect.

        A run starts only after the end of the previous one.
        """
        if self._is_paused:
            return []
        self._set_paused(True, "paused")
        known = {*self._run_ids, *self._others}
        settled = time.monotonic() + _SETTLE_SECONDS
        while True:
            running = running_runs(self._dag.dag_id)
            if begun := [run for run in running if run.run_id not in known]:
                return begun
            if any(run.run_id in known for run in running) or time.monotonic() >= settled:
                return []
            time.sleep(_POLL_SECONDS)

    def _set_paused(self, is_paused: bool, text: str) -> None:
        set_paused(self._dag.dag_id, is_paused=is_paused)
        self._is_paused = is_paused
        self._say(f"{self._dag.dag_id}: {text}")

    def _show(self, running: list[StreamingRun]) -> None:
        """Print changes of the streams' states, and the other tasks when they have ended."""
        for run in running:
            streams = self._dag.streams
            counts = Counter(run.tasks.get(task_id) or "waiting" for task_id in streams)
            text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            if all(ended(run.tasks, task_id) for task_id in streams) and self._unended(run):
                text = f"{text}; still running: {self._unended_text(run)}"
            if text != self._last_texts.get(run.run_id):
                self._last_texts[run.run_id] = text
                self._say(f"{self._dag.dag_id} {run.run_id}: streams: {text}")

    def _unended_text(self, run: StreamingRun) -> str:
        """Return the tasks that have not ended, with their states."""
        tasks = [f"{name!r} ({run.tasks[name] or 'waiting'})" for name in self._unended(run)]
        return first_of(tasks, _MOST)

    def _show_unended(self, when: str) -> None:
        dag_id = self._dag.dag_id
        for run in self._runs:
            tasks = self._unended_text(run) or "all its tasks have ended"
            self._say(f"{dag_id} {run.run_id}: has not ended {when}: {tasks}")
        again = f"airflow kindling stop {dag_id}{' --restart' if self._restarts else ''}"
        if self._pauses and not self._is_paused:
            self._say(
                f"{dag_id}: not paused yet, because Airflow starts no tasks of a paused DAG, and a "
                "stream that fails while it drains has to be retried. The streams continue to "
                "drain; after that the next run may start."
            )
        self._say(f"  Fix: wait with '{again}'; see the logs of these tasks.")

    def _show_undrained(self) -> None:
        for run_id, task_ids in self._undrained.items():
            self._say(
                f"{self._dag.dag_id} {run_id}: ended before all available data was processed: "
                f"{named(task_ids)}"
            )
        if self._undrained:
            self._say(
                "  No data is lost or duplicated: the next run continues from the checkpoints.\n"
                "  Fix: start it and stop it later; raise stream.drain_timeout to allow more time."
            )
