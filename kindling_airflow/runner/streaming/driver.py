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
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.common.frozen import freeze
from kindling_airflow.errors import EntityError, PipeTimeoutError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import InputReport, RunReport, RunRequest, StreamNews
from kindling_airflow.runner.pipe.run_pipe import Hooks, failed_report
from kindling_airflow.runner.streaming.background_call import BackgroundCall
from kindling_airflow.runner.streaming.drain_note import leftovers
from kindling_airflow.runner.streaming.drain_signal import DrainSignal
from kindling_airflow.runner.streaming.inputs import NothingThereYet
from kindling_airflow.runner.streaming.running import RunningStream
from kindling_airflow.runner.streaming.stall_watch import StallWatch
from kindling_airflow.runner.streaming.start import start_stream
from kindling_airflow.tags.stream_settings import StreamSettings

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
        return replace(run.skipped(str(nothing), started), extra=freeze(nothing.note))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code: anything may come out
        with suppress(Exception):
            run.stop()
        failed = failed_report(request, error, started, spark.sparkContext.applicationId)
        extra = {**failed.extra, "stream": run.last_progress}
        return replace(failed, extra=freeze(extra))


@dataclass(slots=True)
class _StreamRun:
    request: RunRequest
    spark: SparkSession
    declared: HarvestedModules | None
    hooks: Hooks
    say: Callable[[str], None]
    signal: DrainSignal = field(default_factory=DrainSignal)
    settings: StreamSettings = field(default_factory=StreamSettings)
    stream: RunningStream | None = None
    drain: BackgroundCall | None = None
    last_progress: Mapping[str, Any] = field(default_factory=dict)
    _said: str = ""
    _said_at: float = 0.0

    def to_end(self, started: float) -> RunReport:
        """Run the stream and return its report; whatever goes wrong is raised."""
        self.signal.listen()
        starting, asked_at = BackgroundCall.begin("start", self._start), None
        while not starting.is_done(within=_LOOK_SECONDS):
            self._tell("starting")
            now = time.monotonic()
            self._check_readiness(started, now)
            if self.signal.asked and asked_at is None:
                asked_at = now
            if asked_at is not None and now - asked_at > self.settings.drain_timeout:
                return self._ended_before_it_began(started)
        stream: RunningStream = starting.result
        self.stream = stream
        drained = self._watch(stream, started)
        self.stop()
        error = stream.error()
        if error is not None:
            raise error
        return self._report(stream, started, drained)

    def stop(self) -> None:
        """End the query, if it has begun, within a minute."""
        if self.stream is None:
            return
        stopping = BackgroundCall.begin("stop", self.stream.stop)
        deadline = time.monotonic() + _STOP_SECONDS
        while not stopping.is_done():
            if time.monotonic() > deadline:
                raise PipeTimeoutError(
                    f"pipe {self.request.pipe_id!r}: its query did not end within "
                    f"{_STOP_SECONDS:g} s\n  Fix: none needed: it ends with its driver, and the "
                    "next one continues from the checkpoint."
                )
            self._tell("draining" if self.drain is not None else "ready")
            time.sleep(_LOOK_SECONDS / 2)

    def _start(self) -> RunningStream:
        return start_stream(self.request, self.spark, self.declared, self.hooks, self._take)

    def _take(self, settings: StreamSettings) -> None:
        self.settings = settings

    def _check_readiness(self, started: float, now: float) -> None:
        limit = self.settings.ready_timeout
        if now - started > limit:
            has_begun = self.stream is not None
            doing = self.last_progress.get("status") if has_begun else "it had not started"
            raise PipeTimeoutError(
                f"pipe {self.request.pipe_id!r}: its query was not ready within {limit:g} s: "
                f"{doing}\n  Fix: check what it is waiting for, or increase stream.ready_timeout."
            )

    def _watch(self, stream: RunningStream, started: float) -> bool | None:
        """Return when the query is to be stopped or has ended: whether all was done by then."""
        settings = self.settings = stream.facts.settings
        every = settings.trigger.seconds if settings.trigger.kind == "processing_time" else None
        stalls = StallWatch(settings.stall_timeout, every or 0.0)
        fence_at = time.monotonic() + _FENCE_SECONDS
        while True:
            ready, now = stream.is_ready(), time.monotonic()
            if self.signal.asked and self.drain is None:
                self.drain = BackgroundCall.begin("drain", stream.drain)
            state = "draining" if self.drain is not None else "ready" if ready else "starting"
            told = self._tell(state)
            if self.drain is not None and self.drain.is_done():
                result: bool | None = self.drain.result
                return result
            if not stream.is_active():
                return True
            if now >= fence_at:
                fence_at = now + _FENCE_SECONDS
                self._check_fence(stream.facts.location)
            if not ready and self.drain is None:
                self._check_readiness(started, now)
            if ready and told and self.drain is None and stalls.is_stuck(stream.look()):
                raise PipeTimeoutError(
                    f"pipe {self.request.pipe_id!r}: its query has stalled: no progress for "
                    f"{settings.stall_timeout:g} s: {self.last_progress.get('status')}\n"
                    "  Fix: check the Spark UI for what it is waiting for; increase "
                    "stream.stall_timeout if a single task of a batch takes longer."
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
            sys.stderr.write(f"Cannot check whether a newer attempt has started: {error}\n")

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

    def _ended_before_it_began(self, started: float) -> RunReport:
        limit = self.settings.drain_timeout
        reason = (
            f"it was asked to stop, and its query had not started {limit:g} s later; nothing was "
            "read or written, and the next run continues from the checkpoint"
        )
        return replace(self.skipped(reason, started), extra=freeze({"drained": False}))

    def _report(self, stream: RunningStream, started: float, drained: bool | None) -> RunReport:
        facts, rows = stream.facts, stream.rows_in
        self.last_progress = stream.progress()
        report = self.skipped(f"{facts.driving_id!r} has no new rows", started)
        if rows != 0 or self.request.stream.get("lifetime") != "available_now":
            report = replace(report, status="published", reason="", rows_written=stream.rows_out)
        note = leftovers(facts, drained, self.last_progress)
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
                    **({"note": note} if note else {}),
                }
            ),
        )


def _print_line(line: str) -> None:
    """Write a line at once and in one piece, so that nothing gets into the middle of it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
