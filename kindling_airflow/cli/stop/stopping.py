"""``stop``: the streams of a DAG drain, sources first, and its runs end.

An ``@continuous`` DAG would start again at once, so it is paused unless ``--restart`` is said. Not
before all of a run that takes a worker has ended, though: Airflow begins nothing of a paused DAG,
and a stream that fails on the way has to be taken up once more to bring in what is there, as a
batch pipe beside streams has to be run. When it is paused at last, the next run may have begun
already; it would be left half started, so it is stopped as well.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from kindling_airflow.cli.inside_airflow import asked_of_database
from kindling_airflow.cli.stop.stop_database import (
    StreamingDag,
    StreamingRun,
    close_run,
    running_runs,
    set_paused,
    streaming_dag,
    tell_to_stop,
    undrained,
)
from kindling_airflow.common.wording import first_of
from kindling_airflow.errors import KindlingAirflowError, WrongCallError
from kindling_airflow.triggers.run_states import ended, named

__all__ = ["stop_streams"]

_LOOK_SECONDS = 0.5
_SETTLE_SECONDS = 3.0  # of a scheduler that looked at the DAG just before it was paused
_INTERRUPTED = 130  # what shells say of a command that Ctrl-C ended
_IN_HAND = frozenset({"queued", "running", "deferred", "restarting"})  # paused DAG or not
_MOST = 5


def stop_streams(called: argparse.Namespace) -> int:
    """Stop the streams of a DAG and wait for the end; status 1 if that does not come in time.

    Status 1, too, if a stream has ended before it had taken all that was there.
    """
    stopping = asked_of_database(called, "stop", _stopped)
    if called.json:
        print(json.dumps(stopping.to_json(), indent=2))
    return stopping.status


def _stopped(called: argparse.Namespace) -> _Stopping:
    dag = streaming_dag(called.dag_id)
    stopping = _Stopping(
        dag, called.wait, restarts=called.restart, say=_silent if called.json else _print
    )
    stopping.begin(called.run_id)
    try:
        stopping.wait()
    except KeyboardInterrupt:
        stopping.interrupt()
    return stopping


class _Stopping:
    """The way of runs to their ends.

    Args:
        dag: their DAG.
        seconds: how long to wait; None: as long as it takes.
        restarts: whether the DAG goes on afterwards.
        say: takes lines for people.
    """

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
        self._said: dict[str, str] = {}

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
        if run_id is not None:
            self._others = frozenset([r.run_id for r in running_runs(dag_id)]) - {run_id}
        if not runs and not self._restarts:
            runs = self._paused_just_now()
        if not runs:
            paused = "" if self._restarts else "; it is paused, so none will be"
            raise KindlingAirflowError(f"no run of DAG {dag_id!r} is running{paused}")
        self._take_up(runs)

    def wait(self) -> None:
        """Return when the runs have ended, or the time is over."""
        deadline = None if self._seconds is None else time.monotonic() + self._seconds
        while not self._look():
            if deadline is not None and time.monotonic() >= deadline:
                self._tell_unended(f"after {self._seconds:g} s")
                return
            time.sleep(_LOOK_SECONDS)
        for run in self._runs:
            self._say(f"{self._dag.dag_id} {run.run_id}: {run.state}")
            if short := undrained(self._dag, run.run_id):
                self._undrained[run.run_id] = short
        self._tell_undrained()
        self.status = 1 if self._undrained else 0

    def interrupt(self) -> None:
        """Say how it is, for somebody who does not wait on."""
        self.status = _INTERRUPTED
        self._tell_unended("yet")

    def to_json(self) -> dict[str, object]:
        """Return what has become of the runs."""
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
            tell_to_stop(self._dag, run.run_id)
            self._say(f"{self._dag.dag_id} {run.run_id}: told to stop")

    def _look(self) -> bool:
        """Look at the runs, and do what is to be done; return whether they have ended."""
        self._runs = running_runs(self._dag.dag_id, self._run_ids)
        running = [run for run in self._runs if run.state == "running"]
        self._tell(running)
        unended = [run.tasks[name] for run in running for name in self._unended(run)]
        if unended:
            if self._is_paused and not _IN_HAND.issuperset(unended):
                self._set_paused(False, "not paused for now: something is still to be begun")
            return False
        if self._pauses and not self._is_paused and (next_ones := self._paused_just_now()):
            self._take_up(next_ones)
            return False
        if self._is_paused:
            self._close(running)
        return not running

    def _unended(self, run: StreamingRun) -> list[str]:
        """Return the tasks of a run that take a worker and have not ended."""
        tasks = run.tasks
        return [name for name in tasks if not ended(tasks, name) and name not in self._dag.empties]

    def _close(self, running: list[StreamingRun]) -> None:
        from sqlalchemy.exc import SQLAlchemyError

        for run in running:
            with suppress(SQLAlchemyError):  # the scheduler was quicker, or will be; look again
                close_run(self._dag.dag_id, run.run_id)

    def _paused_just_now(self) -> list[StreamingRun]:
        """Pause the DAG; return the runs that have begun before that took effect.

        One begins only when the one before is over. While that is running, the DAG is paused in
        time.
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
            time.sleep(_LOOK_SECONDS)

    def _set_paused(self, is_paused: bool, text: str) -> None:
        set_paused(self._dag.dag_id, is_paused=is_paused)
        self._is_paused = is_paused
        self._say(f"{self._dag.dag_id}: {text}")

    def _tell(self, running: list[StreamingRun]) -> None:
        """Say how the streams are, and what is left when they have ended, if that is new."""
        for run in running:
            streams = self._dag.streams
            counts = Counter(run.tasks.get(task_id) or "waiting" for task_id in streams)
            text = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            if all(ended(run.tasks, task_id) for task_id in streams) and self._unended(run):
                text = f"{text}; still to end: {self._told(run)}"
            if text != self._said.get(run.run_id):
                self._said[run.run_id] = text
                self._say(f"{self._dag.dag_id} {run.run_id}: streams: {text}")

    def _told(self, run: StreamingRun) -> str:
        """Return the tasks that have not ended, with their states."""
        told = [f"{name!r} ({run.tasks[name] or 'waiting'})" for name in self._unended(run)]
        return first_of(told, _MOST)

    def _tell_unended(self, when: str) -> None:
        dag_id = self._dag.dag_id
        for run in self._runs:
            told = self._told(run) or "all its tasks have ended"
            self._say(f"{dag_id} {run.run_id}: not over {when}: {told}")
        again = f"airflow kindling stop {dag_id}{' --restart' if self._restarts else ''}"
        if self._pauses and not self._is_paused:
            self._say(
                f"{dag_id}: not paused yet, because Airflow begins nothing of a paused DAG, and a "
                "stream that fails on the way has to be taken up again. The streams go on to "
                "their ends, and then the next run may begin."
            )
        self._say(f"  Fix: '{again}' waits on; the logs of these tasks say what they do.")

    def _tell_undrained(self) -> None:
        for run_id, task_ids in self._undrained.items():
            self._say(
                f"{self._dag.dag_id} {run_id}: ended before all was taken in that was there: "
                f"{named(task_ids)}"
            )
        if self._undrained:
            self._say(
                "  Nothing is lost, nor comes twice: the next run goes on from the checkpoints.\n"
                "  Fix: let it, and stop it later; stream.drain_timeout gives a stream more time."
            )


def _print(text: str) -> None:
    print(text, flush=True)


def _silent(_text: str) -> None:
    """Say nothing: the document comes at the end."""
