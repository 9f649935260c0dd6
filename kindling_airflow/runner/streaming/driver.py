"""A stream in its own driver: started, watched, drained on a signal, reported.

    task    <-- StreamNews, every 2 s: starting, ready, draining ----------  driver
    task    -- SIGUSR1: drain -------------------------------------------->  driver
    task    <-- RunReport: published, skipped (no new rows), failed ------  driver

All that may take long happens in threads, so that the news come whatever Spark is doing: their
absence means that the driver is gone. The main thread checks the state several times each second.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import EntityError, PipeTimeoutError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import RunReport, RunRequest, StreamNews
from kindling_airflow.runner.pipe.run_pipe import Hooks, failed_report
from kindling_airflow.runner.streaming.background_call import BackgroundCall
from kindling_airflow.runner.streaming.inputs import NothingThereYet
from kindling_airflow.runner.streaming.report import stall_watch_of, stalled, stream_report
from kindling_airflow.runner.streaming.running import RunningStream
from kindling_airflow.runner.streaming.start import start_stream
from kindling_airflow.tags.stream_settings import StreamSettings

_BEAT_SECONDS = 2.0
_LOOK_SECONDS = 0.1
_CLAIM_SECONDS = 4.0
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
    """Run a pipe as a stream until it ends, fails, or is asked to drain; nothing is raised.

    Args:
        request: the pipe.
        spark: the session.
        started: ``time.monotonic()`` when the driver began; default: now.
        declared: the project's declarations, where the caller has imported them already.
        hooks: the caller's hooks; ``before_publish`` is also called every few seconds, and the
            query ends if it raises.
        say: takes the lines of news; default: standard output.
    """
    started = time.monotonic() if started is None else started
    run = _StreamRun(request, spark, declared, hooks or Hooks(), say or _print_line, started)
    try:
        return run.to_end()
    except NothingThereYet as nothing:
        return run.skipped(str(nothing), nothing.note)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code: anything may come out
        with suppress(Exception):
            run.stop()
        failed = failed_report(request, error, started, spark.sparkContext.applicationId)
        return replace(failed, extra=freeze({**failed.extra, "stream": run.last_progress}))


@dataclass(slots=True)
class _StreamRun:
    request: RunRequest
    spark: SparkSession
    declared: HarvestedModules | None
    hooks: Hooks
    say: Callable[[str], None]
    started: float
    drain_requested: bool = False
    settings: StreamSettings = field(default_factory=StreamSettings)
    stream: RunningStream | None = None
    drain: BackgroundCall | None = None
    last_progress: Mapping[str, Any] = field(default_factory=dict)
    _news: str = ""
    _news_at: float = 0.0

    def to_end(self) -> RunReport:
        """Run the stream and return its report; whatever goes wrong is raised."""
        self._listen()
        starting, asked_at = BackgroundCall.begin("start", self._start), None
        while not starting.is_done(within=_LOOK_SECONDS):
            self._send_news("starting")
            now = time.monotonic()
            self._check_readiness(now)
            if self.drain_requested and asked_at is None:
                asked_at = now
            limit = self.settings.drain_timeout
            if asked_at is not None and now - asked_at > limit:
                reason = (
                    f"it was asked to stop, and its query had not started {limit:g} s later; "
                    "nothing was read or written, and the next run continues from the checkpoint"
                )
                return self.skipped(reason, {"drained": False})
        stream = self.stream = starting.result
        drained = self._watch(stream)
        self.stop()
        error = stream.error()
        if error is not None:
            raise error
        return self._report(stream, drained)

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
            self._send_news("draining" if self.drain is not None else "ready")
            time.sleep(_LOOK_SECONDS / 2)

    def _listen(self) -> None:
        """Install a handler of SIGUSR1 that requests draining.

        The handler does nothing but set an attribute: it may run in the middle of anything, where a
        lock (an Event has one) may be held by the very code that it interrupts.
        """

        def request_drain(_number: int, _frame: object) -> None:
            self.drain_requested = True

        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, request_drain)

    def _start(self) -> RunningStream:
        def take(settings: StreamSettings) -> None:
            self.settings = settings

        return start_stream(self.request, self.spark, self.declared, self.hooks, take)

    def _check_readiness(self, now: float) -> None:
        limit = self.settings.ready_timeout
        if now - self.started > limit:
            has_begun = self.stream is not None
            doing = self.last_progress.get("status") if has_begun else "it had not started"
            raise PipeTimeoutError(
                f"pipe {self.request.pipe_id!r}: its query was not ready within {limit:g} s: "
                f"{doing}\n  Fix: check what it is waiting for, or increase stream.ready_timeout."
            )

    def _watch(self, stream: RunningStream) -> bool | None:
        """Return when the query is to be stopped or has ended: whether it is drained."""
        settings = self.settings = stream.facts.settings
        stalls = stall_watch_of(settings)
        claim_at = time.monotonic() + _CLAIM_SECONDS
        while True:
            ready, now = stream.is_ready(), time.monotonic()
            if self.drain_requested and self.drain is None:
                self.drain = BackgroundCall.begin("drain", stream.drain)
            state = "draining" if self.drain is not None else "ready" if ready else "starting"
            is_news = self._send_news(state)
            if self.drain is not None and self.drain.is_done():
                result: bool | None = self.drain.result
                return result
            if not stream.is_active():
                return True
            if now >= claim_at:
                claim_at = now + _CLAIM_SECONDS
                self._check_claim(stream.facts.location)
            if not ready and self.drain is None:
                self._check_readiness(now)
            if ready and is_news and self.drain is None and stalls.is_stuck(stream.look()):
                query = f"pipe {self.request.pipe_id!r}: its query"
                raise stalled(query, settings, self.last_progress.get("status"))
            time.sleep(_LOOK_SECONDS)

    def _send_news(self, state: Any) -> bool:
        """Report the stream's state, if it is time or it has changed; return whether it was."""
        now = time.monotonic()
        if state == self._news and now - self._news_at < _BEAT_SECONDS:
            return False
        if self.stream is not None:
            self.last_progress = self.stream.progress()
        news = StreamNews(self.request.attempt_key, state, os.getpid(), freeze(self.last_progress))
        self.say(news.line())
        self._news, self._news_at = state, now
        return True

    def _check_claim(self, location: str) -> None:
        """Raise if a newer attempt has started; storage that does not answer is retried later."""
        try:
            self.hooks.before_publish(location)
        except EntityError:
            raise
        except Exception as error:
            sys.stderr.write(f"Cannot check whether a newer attempt has started: {error}\n")

    def skipped(self, reason: str, extra: Mapping[str, Any]) -> RunReport:
        """Return the report of a run that had nothing to do."""
        return RunReport(
            attempt_key=self.request.attempt_key,
            pipe_id=self.request.pipe_id,
            status="skipped",
            duration_seconds=round(time.monotonic() - self.started, 3),
            application_id=self.spark.sparkContext.applicationId,
            plan_digest=self.request.plan_digest,
            code_digest=self.request.code_digest,
            reason=reason,
            extra=freeze(extra),
        )

    def _report(self, stream: RunningStream, drained: bool | None) -> RunReport:
        report = stream_report(
            self.request,
            stream,
            seconds=time.monotonic() - self.started,
            application_id=self.spark.sparkContext.applicationId,
            drained={"drained": drained},
        )
        self.last_progress = report.extra["stream"]
        if report.inputs[0].rows == 0 and self.request.stream.get("lifetime") == "available_now":
            reason = f"{stream.facts.driving_id!r} has no new rows"
            return replace(report, status="skipped", reason=reason, rows_written=None)
        return report


def _print_line(line: str) -> None:
    """Write a line at once and in one piece, so that other output cannot split it."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
