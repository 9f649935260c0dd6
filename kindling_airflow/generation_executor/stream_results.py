"""The results of streams: recorded once for each, with the signals of each change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from kindling_airflow.common.immutable import freeze
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor.events import Events
from kindling_airflow.generation_executor.results import ExecutionResult, PipeResult, PipeStatus
from kindling_airflow.generation_executor.run_record import RunRecord
from kindling_airflow.generation_executor.runners import ReportingStream, StreamHandle
from kindling_airflow.generation_executor.signals import (
    generation_completed,
    generation_failed,
    pipe_completed,
    pipe_failed,
    pipe_started,
)
from kindling_airflow.generation_executor.threads import Threads


@dataclass(slots=True)
class Stream:
    """A pipe that is starting or has started; without a handle it never did."""

    pipe_id: str
    began: float
    handle: StreamHandle | None = None
    ready: bool = False


class StreamResults(RunRecord):
    """The streams of an execution, and the results of its pipes.

    Attributes:
        streams: those that are starting or have started, in that order.
        results: of pipes that have ended.
    """

    def __init__(self, plan: ExecutionPlan, threads: Threads, events: Events) -> None:
        super().__init__(plan, threads, events)
        self.streams: dict[str, Stream] = {}

    @property
    def handles(self) -> Mapping[str, StreamHandle]:
        """The handles of the streams, in the order of their start."""
        handles = {s.pipe_id: s.handle for s in self.streams.values() if s.handle is not None}
        return MappingProxyType(handles)

    def all_ended(self) -> bool:
        """Return whether every stream has a result."""
        return self.streams.keys() <= self.results.keys()

    def open(self, pipe_id: str) -> Stream:
        """Record that a stream is starting."""
        stream = self.streams[pipe_id] = Stream(pipe_id, self._threads.now())
        self._events.send_of_pipe(pipe_started, pipe_id)
        return stream

    def generation_is_ready(self) -> None:
        """Record that all streams of the generation that was started are ready."""
        self.generation_ends(generation_completed)

    def record(
        self,
        stream: Stream,
        status: PipeStatus,
        error: BaseException | str | None = None,
        reason: str = "",
    ) -> None:
        """Record how a stream has ended."""
        exception = error if isinstance(error, BaseException) else None
        kind = "StreamError" if exception is None else type(exception).__name__
        result = PipeResult(
            pipe_id=stream.pipe_id,
            status=status,
            duration_seconds=self._threads.now() - stream.began,
            error=None if error is None else str(error) or kind,
            error_type=None if error is None else kind,
            streaming_query=stream.handle,
            attempts=1,
            report=self._report_of(stream),
            reason=reason,
        )
        self.results[stream.pipe_id] = result
        if status is PipeStatus.SUCCESS:
            self._events.log.info(f"stream {stream.pipe_id!r} ended {reason}".rstrip())
            self._events.send_of_pipe(pipe_completed, stream.pipe_id, result=result)
        else:
            self._events.log.failure(f"stream {stream.pipe_id!r} failed: {error}", exception)
            self._events.send_of_pipe(
                pipe_failed, stream.pipe_id, result=result, exception=exception
            )

    def close(self, reason: str) -> ExecutionResult:
        """Record that all other pipes were not run, and return the whole result."""
        for pipe_id in self._plan.pipe_ids:
            if pipe_id not in self.results:
                self.not_run(pipe_id, reason)
        self.generation_ends(generation_failed)
        return self.finish(streaming_queries=self.handles)

    def _report_of(self, stream: Stream) -> Any:
        if not isinstance(stream.handle, ReportingStream):
            return None
        try:
            return freeze(stream.handle.report())
        except Exception as error:
            self._events.log.failure(
                f"stream {stream.pipe_id!r} has no report: report() failed", error
            )
            return None

    def _unfinished(self, pipe_id: str) -> PipeResult:
        """Return the result of a stream that runs: every pipe has begun or ended."""
        stream = self.streams[pipe_id]
        seconds = self._threads.now() - stream.began
        return PipeResult(
            pipe_id, PipeStatus.RUNNING, seconds, streaming_query=stream.handle, attempts=1
        )
