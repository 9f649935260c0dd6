"""A stream in a driver of its own: started, watched, told to drain, reported.

    task    <-- StreamNews, every 2 s: starting, ready, draining ----------  driver
    task    -- SIGUSR1: drain -------------------------------------------->  driver
    task    <-- RunReport: published, skipped (nothing came in), failed ---  driver

All that may take long happens in threads, so that the news come whatever Spark is doing: their
silence means that the driver is gone. The main thread looks around several times each second.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kindling_airflow.contracts import InputReport, RunReport, RunRequest, StreamNews
from kindling_airflow.errors import EntityError, PipeTimeoutError
from kindling_airflow.frozen import freeze
from kindling_airflow.harvest import HarvestedModules
from kindling_airflow.runner.run_pipe import Hooks, failed_report
from kindling_airflow.runner.streaming.drain_signal import DrainSignal
from kindling_airflow.runner.streaming.running import RunningStream
from kindling_airflow.runner.streaming.stalls import StallWatch
from kindling_airflow.runner.streaming.start import start_stream
from kindling_airflow.runner.streaming.stream_inputs import NothingThereYet

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["run_stream"]

_BEAT_SECONDS = 2.0
_LOOK_SECONDS = 0.1
_FENCE_SECONDS = 4.0
_STOP_SECONDS = 60.0


def run_stream(
    request: RunRequest,
    spark: SparkSession,
    started: float | None = None,
    declared: HarvestedModules | None = None,
    *,
    hooks: Hooks | None = None,
    say: Callable[[str], None] | None = None,
) -> RunReport:
    """Run a pipe as a stream until it ends, fails, or is told to drain; nothing is raised.

    Args:
        request: the pipe.
        spark: the session.
        started: ``time.monotonic()`` when the driver began; default: now.
        declared: the project's declarations, where the caller has imported them already.
        hooks: where the caller has its say; ``before_publish`` is also asked every few seconds, and
            the query ends if it raises.
        say: takes the lines of news; default: standard output.
    """
    started = time.monotonic() if started is None else started
    run = _StreamRun(request, spark, declared, hooks or Hooks(), say or _print_line)
    try:
        return run.to_end(started)
    except NothingThereYet as nothing:
        return run.skipped(str(nothing), started)
    except (Exception, SystemExit) as error:
        with suppress(Exception):
            run.stop()
        failed = failed_report(request, error, started, spark.sparkContext.applicationId)
        extra = {**failed.extra, "stream": run.last_progress}
        return replace(failed, extra=freeze(extra))


@dataclass(slots=True)
class _Work:
    """A call in a thread of its own."""

    thread: threading.Thread
    result: Any = None
    error: BaseException | None = None

    @classmethod
    def begin(cls, name: str, call: Callable[[], Any]) -> _Work:
        def run() -> None:
            try:
                work.result = call()
            except BaseException as error:
                work.error = error

        work = cls(threading.Thread(target=run, name=f"kindling-{name}", daemon=True))
        work.thread.start()
        return work

    def is_done(self) -> bool:
        """Tell whether it is done; raises what it raised."""
        if self.thread.is_alive():
            return False
        if self.error is not None:
            raise self.error
        return True


@dataclass(slots=True)
class _StreamRun:
    request: RunRequest
    spark: SparkSession
    declared: HarvestedModules | None
    hooks: Hooks
    say: Callable[[str], None]
    signal: DrainSignal = field(default_factory=DrainSignal)
    stream: RunningStream | None = None
    drain: _Work | None = None
    last_progress: Mapping[str, Any] = field(default_factory=dict)
    _said: str = ""
    _said_at: float = 0.0

    def to_end(self, started: float) -> RunReport:
        """Run the stream and return its report; whatever goes wrong is raised."""
        self.signal.listen()
        starting = _Work.begin("start", self._start)
        while not starting.is_done():
            self._tell("starting")
            time.sleep(_LOOK_SECONDS)
        stream: RunningStream = starting.result
        self.stream = stream
        drained = self._watch(stream)
        self.stop()
        error = stream.error()
        if error is not None:
            raise error
        return self._report(stream, started, drained=drained)

    def stop(self) -> None:
        """End the query, if it has begun, within a minute."""
        if self.stream is None:
            return
        stopping = _Work.begin("stop", self.stream.stop)
        deadline = time.monotonic() + _STOP_SECONDS
        while not stopping.is_done():
            if time.monotonic() > deadline:
                raise PipeTimeoutError(
                    f"pipe {self.request.pipe_id!r}: its query did not end within "
                    f"{_STOP_SECONDS:g} s\n  Fix: nothing: it ends with its driver, and the next "
                    "one goes on from the checkpoint."
                )
            self._tell("draining" if self.drain is not None else "ready")
            time.sleep(_LOOK_SECONDS / 2)

    def _start(self) -> RunningStream:
        return start_stream(self.request, self.spark, self.declared, self.hooks)

    def _watch(self, stream: RunningStream) -> bool:
        """Return when the query is to be stopped or has ended: whether all was done by then."""
        settings, began = stream.facts.settings, time.monotonic()
        every = settings.trigger.seconds if settings.trigger.kind == "processing_time" else None
        stalls = StallWatch(settings.stall_timeout, every or 0.0)
        fence_at = began + _FENCE_SECONDS
        while True:
            ready, now = stream.is_ready(), time.monotonic()
            if self.signal.asked and self.drain is None:
                self.drain = _Work.begin("drain", stream.drain)
            state = "draining" if self.drain is not None else "ready" if ready else "starting"
            told = self._tell(state)
            if self.drain is not None and self.drain.is_done():
                return bool(self.drain.result)
            if not stream.is_active():
                return True
            if now >= fence_at:
                fence_at = now + _FENCE_SECONDS
                self._check_fence(stream.facts.location)
            if not ready and self.drain is None and now - began > settings.ready_timeout:
                raise PipeTimeoutError(
                    f"pipe {self.request.pipe_id!r}: its query was not ready within "
                    f"{settings.ready_timeout:g} s: {self.last_progress.get('status')}\n"
                    "  Fix: find out what it waits for, or raise stream.ready_timeout."
                )
            if ready and told and self.drain is None and stalls.is_stuck(stream.look()):
                raise PipeTimeoutError(
                    f"pipe {self.request.pipe_id!r}: its query has stalled: nothing got done for "
                    f"{settings.stall_timeout:g} s: {self.last_progress.get('status')}\n"
                    "  Fix: see Spark's UI for what it waits for; a single task of a batch may "
                    "take as long as stream.stall_timeout says."
                )
            time.sleep(_LOOK_SECONDS)

    def _tell(self, state: Any) -> bool:
        """Say how the stream is, if it is time or there is something new; return whether it was."""
        now = time.monotonic()
        if state == self._said and now - self._said_at < _BEAT_SECONDS:
            return False
        if self.stream is not None:
            self.last_progress = self.stream.progress()
        news = StreamNews(self.request.attempt_key, state, os.getpid(), freeze(self.last_progress))
        self.say(news.line())
        self._said, self._said_at = state, now
        return True

    def _check_fence(self, location: str) -> None:
        """Give up if a newer try has begun; storage that does not answer is asked again later."""
        try:
            self.hooks.before_publish(location)
        except EntityError:
            raise
        except Exception as error:
            sys.stderr.write(f"It cannot be seen whether a newer try has begun: {error}\n")

    def skipped(self, reason: str, started: float) -> RunReport:
        """Return the report of a run that had nothing to do."""
        return RunReport(
            attempt_key=self.request.attempt_key,
            pipe_id=self.request.pipe_id,
            status="skipped",
            duration_seconds=round(time.monotonic() - started, 3),
            application_id=self.spark.sparkContext.applicationId,
            plan_digest=self.request.plan_digest,
            reason=reason,
        )

    def _report(self, stream: RunningStream, started: float, *, drained: bool) -> RunReport:
        facts, rows = stream.facts, stream.rows_in
        self.last_progress = stream.progress()
        report = self.skipped(f"{facts.driving_id!r} has gained nothing", started)
        if rows > 0 or self.request.stream.get("lifetime") != "available_now":
            report = replace(report, status="published", reason="", rows_written=rows)
        return replace(
            report,
            output_entity_id=facts.output_id,
            location=facts.location,
            inputs=(InputReport(facts.driving_id, rows),),
            expectations=stream.expectations,
            extra=freeze(
                {
                    "output": dict(facts.description),
                    "stream": dict(self.last_progress),
                    "drained": drained,
                }
            ),
        )


def _print_line(line: str) -> None:
    """Write a line at once and in one piece, so that nothing gets into the middle of it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
