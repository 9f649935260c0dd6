"""A query that runs: is it ready, does it still run, why not, how far is it; and its end.

    drain    what the source has now gets done          bounded by the pipe's stream.drain_timeout
    stop     the query ends; its checkpoint stays where it is, and nothing is lost. A batch that is
             under way is given up, and retried by the next query on the checkpoint

Knows neither signals nor standard output, and may be asked by several threads at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext
from pyspark.errors.exceptions.captured import UnknownException, convert_exception
from pyspark.sql.streaming.query import StreamingQuery

from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.protocol.contracts import ExpectationReport
from kindling_airflow.runner.streaming.background_call import BackgroundCall
from kindling_airflow.runner.streaming.batches import BatchPublisher
from kindling_airflow.runner.streaming.progress import ProgressCounts
from kindling_airflow.runner.streaming.stall_watch import Look
from kindling_airflow.tags.stream_settings import StreamSettings, StreamTrigger

_ASKING = "Getting offsets"
_NOT_READY = ("Initializing", _ASKING, "Terminated", "Stopped")
_LONGEST_PAUSE_SECONDS = 5.0
_PATIENCE_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_LATEST_JOBS = 3


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What is known of a stream for as long as it runs.

    Attributes:
        pipe_id: the pipe.
        driving_id, output_id: what it reads as a stream, and what it writes.
        location: where the output is.
        description: of the output, of JSON types.
        settings: the settings of its query, under the lifetime of the run.
        explain: returns the format's explanation of a query's error, or None.
    """

    pipe_id: str
    driving_id: str
    output_id: str
    location: str
    description: Mapping[str, Any]
    settings: StreamSettings
    explain: Callable[[Exception], str | None]


class RunningStream:
    """A started query."""

    def __init__(
        self,
        facts: StreamFacts,
        begin: Callable[[StreamTrigger], StreamingQuery],
        batches: BatchPublisher | None,
    ) -> None:
        self.facts = facts
        self._begin = begin
        self._batches = batches
        self._lock = threading.RLock()
        self._numbers = ProgressCounts()
        self._was_ready = False
        self._is_ending = False
        self._error_before: BaseException | None = None
        self._is_beginning_again = False
        self._ends_by_itself = facts.settings.trigger.kind == "available_now"
        self._query = begin(facts.settings.trigger)

    @property
    def expectations(self) -> tuple[ExpectationReport, ...]:
        """The outcome of each expectation in the last batch that was published."""
        return () if self._batches is None else self._batches.expectations

    @property
    def rows_in(self) -> int | None:
        """How many rows the query has taken in since it was started here; None if not known."""
        self._numbers.look(self._query)
        return None if self._is_row_by_row else self._numbers.rows_in

    @property
    def rows_out(self) -> int | None:
        """How many rows it has written since it was started here; None if not known.

        Of a result that replaces the table with each batch, those of the last batch.
        """
        if self._batches is not None:
            return self._batches.rows
        self._numbers.look(self._query)
        return None if self._is_row_by_row else self._numbers.rows_out

    def is_ready(self) -> bool:
        """Return whether it processes data: its first batch is planned, or its source is empty."""
        with self._lock:
            if not self._was_ready:
                # Asked behind the message, which changes before the query counts as ended.
                at_work = not self._message().startswith(_NOT_READY)
                self._was_ready = (
                    at_work
                    if self._query.isActive
                    else self._ends_by_itself and self.error() is None
                )
            return self._was_ready

    def is_active(self) -> bool:
        """Return whether it has not ended yet."""
        with self._lock:
            return self._is_beginning_again or bool(self._query.isActive)

    def error(self) -> BaseException | None:
        """Return why it failed, or None; what stopping did to a batch under way does not count."""
        with self._lock:
            if self._is_ending:
                return self._error_before
            if self.is_active():
                return None
            failed = self._query._jsq.exception()
            if self._batches is not None and self._batches.error is not None and failed.isDefined():
                return self._batches.error
            if failed.isDefined():
                return self._explained(_from_java(failed.get()))
            if self._ends_by_itself:
                return None
            return EntityError(
                f"pipe {self.facts.pipe_id!r}: its query was stopped from outside\n"
                "  Fix: do not stop the query in other code; the next run continues from its "
                "checkpoint."
            )

    def drain(self) -> bool | None:
        """Get done what the source has now, and return whether that was done in time.

        None if unknown: row by row, Spark does not report what it has read, nor does it go on
        in batches from such a checkpoint.

        Raises:
            StreamingQueryException: the query has failed.
        """
        settings = self.facts.settings
        deadline = time.monotonic() + settings.drain_timeout
        trigger = settings.trigger
        if self._is_row_by_row:
            return None
        if self._ends_by_itself:
            return self._await_end(deadline)
        if trigger.kind == "processing_time" and (trigger.seconds or 0) > _LONGEST_PAUSE_SECONDS:
            return self._take_what_is_there(deadline)
        return self._process_all(deadline)

    def stop(self) -> None:
        """End the query; returns when it has ended."""
        with self._lock:
            if not self._is_ending:
                self._error_before, self._is_ending = self.error(), True
            query = self._query
        query.stop()

    def progress(self) -> dict[str, Any]:
        """Return how the query gets on, of JSON types; see ``contracts.StreamNews``."""
        self._numbers.look(self._query)
        numbers = self._numbers.progress(self._message())
        if self._is_row_by_row:  # Spark posts no progress at all
            numbers.update(dict.fromkeys(("batches", "rows_in", "idle_seconds")))
        return numbers

    def look(self) -> Look:
        """Return what there is to see of the query now, for who looks out for stalls."""
        status = self._query.status
        self._numbers.look(self._query)
        message = str(status["message"])
        tasks = self._tasks_done() if message.startswith("Processing") else ()
        return Look(
            at=time.monotonic(),
            message=message,
            has_data=bool(status["isDataAvailable"]),
            is_working=bool(status["isTriggerActive"]),
            done=(self._numbers.batches, tasks),
            asks_since=self._trigger_began() if message.startswith(_ASKING) else None,
        )

    @property
    def _is_row_by_row(self) -> bool:
        return self.facts.settings.trigger.kind == "continuous"

    def _trigger_began(self) -> int | None:
        """Return when the query last began to poll its source; None where that is unknown."""
        try:
            query: Any = self._query._jsq.streamingQuery()
            return int(query.getLatestExecutionContext().currentTriggerStartTimestamp())
        except Py4JError:  # another release of Spark
            return None

    def _message(self) -> str:
        return str(self._query.status["message"])

    def _tasks_done(self) -> tuple[tuple[int, int], ...]:
        """Return the query's latest jobs, with how many tasks of each stage are done."""
        context: Any = SparkContext._active_spark_context
        tracker = context.statusTracker()
        done = []
        for job_id in sorted(tracker.getJobIdsForGroup(str(self._query.runId)))[-_LATEST_JOBS:]:
            job = tracker.getJobInfo(job_id)
            for stage_id in () if job is None else job.stageIds:
                stage = tracker.getStageInfo(stage_id)
                done.append((job_id, 0 if stage is None else int(stage.numCompletedTasks)))
        return tuple(done)

    def _process_all(self, deadline: float) -> bool:
        """Wait until the source has nothing more; it is looked at once after this has begun.

        If it gets more all the time, so that there is no end to wait for, what it has then is taken
        as what is there. The query restarts for that, after a batch rather than within one.
        """

        def process() -> None:
            # A look at the source that was under way already ends the first call.
            self._query.processAllAvailable()
            self._query.processAllAvailable()

        work, left = BackgroundCall.begin("drain", process), deadline - time.monotonic()
        if work.is_done(within=min(_PATIENCE_SECONDS, left / 4)):
            return True
        batches = self._batches_done()
        while self._batches_done() == batches:
            if work.is_done(within=_LOOK_SECONDS):
                return True
            if time.monotonic() > deadline:
                return False
        return self._take_what_is_there(deadline)

    def _batches_done(self) -> int:
        self._numbers.look(self._query)
        return self._numbers.batches

    def _take_what_is_there(self, deadline: float) -> bool:
        """Let the query take what is there without a pause, for its next batch may be far away."""
        with self._lock:
            self._is_beginning_again = True
        beginning = BackgroundCall.begin("begin-again", self._begin_again)
        if not beginning.is_done(within=deadline - time.monotonic()):
            return False
        return self._await_end(deadline)

    def _begin_again(self) -> None:
        """Stop the query, and take what is there with another one, unless all is to end."""
        try:
            self._query.stop()
            self._numbers.look(self._query)
            with self._lock:
                if self._is_ending:
                    return
            query = self._begin(replace(self.facts.settings.trigger, kind="available_now"))
            with self._lock:
                self._query, self._ends_by_itself = query, True
                is_unwanted = self._is_ending
            if is_unwanted:
                query.stop()
        finally:
            with self._lock:
                self._is_beginning_again = False

    def _await_end(self, deadline: float) -> bool:
        return bool(self._query.awaitTermination(max(0.001, deadline - time.monotonic())))  # type: ignore[arg-type]

    def _explained(self, error: Exception) -> BaseException:
        text = self.facts.explain(error)
        if text is None:
            return error
        explained = PipeRunError(text)
        explained.__cause__ = error
        return explained


def _from_java(failed: Any) -> Exception:
    """Return what ended a query as a batch would have raised it, without the plan of the query."""
    cause = failed.getCause()
    java = failed if cause is None else cause
    converted = convert_exception(java)
    if not isinstance(converted, UnknownException):
        return cast("Exception", converted)
    unknown: Exception = Py4JJavaError("the query has failed", java)
    return unknown
