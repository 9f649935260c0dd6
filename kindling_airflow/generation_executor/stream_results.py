"""The results of streams: recorded once for each, with the signals of each change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from blinker import Signal

from kindling_airflow.common.immutable import freeze
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.generation_executor.events import Events
from kindling_airflow.generation_executor.results import (
    ExecutionResult,
    GenerationResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.generation_executor.runners import ReportingStream, StreamHandle
from kindling_airflow.generation_executor.signals import (
    generation_completed,
    generation_failed,
    generation_started,
    pipe_completed,
    pipe_failed,
    pipe_skipped,
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


class StreamResults:
    """The streams of an execution, and the results of its pipes.

    Attributes:
        streams: those that are starting or have started, in that order.
    """

    def __init__(self, plan: ExecutionPlan, threads: Threads, events: Events) -> None:
        self._plan = plan
        self._threads = threads
        self._events = events
        self._began = threads.now()
        self._seconds: dict[int, float] = {}
        self._starting: tuple[Generation, float] | None = None  # and since when
        self.streams: dict[str, Stream] = {}
        self.results: dict[str, PipeResult] = {}

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

    def generation_begins(self, generation: Generation) -> None:
        """Record that a generation is starting."""
        if generation.pipe_ids:
            self._starting = (generation, self._threads.now())
            self._events.send(
                generation_started, generation=generation, pipe_ids=generation.pipe_ids
            )

    def generation_is_ready(self) -> None:
        """Record that all streams of the generation that was started are ready."""
        self._generation_ends(generation_completed)

    def add_seconds(self, seconds: Mapping[int, float]) -> None:
        """Record how long generations took, by number."""
        for number, more in seconds.items():
            self._seconds[number] = self._seconds.get(number, 0.0) + more

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
                result = PipeResult(pipe_id, PipeStatus.NOT_RUN, reason=reason)
                self.results[pipe_id] = result
                self._events.send_of_pipe(pipe_skipped, pipe_id, result=result)
        self._generation_ends(generation_failed)
        whole = ExecutionResult(
            plan=self._plan,
            generation_results=tuple(map(self._generation_result, self._plan.generations)),
            duration_seconds=self._threads.now() - self._began,
            run_id=self._events.run_id,
            streaming_queries=self.handles,
        )
        self._events.send_end(whole)
        return whole

    def _generation_ends(self, signal: Signal) -> None:
        if self._starting is None:
            return
        generation, began = self._starting
        self._starting = None
        self.add_seconds({generation.number: self._threads.now() - began})
        result = self._generation_result(generation)
        self._events.send(signal, generation=generation, result=result)

    def _generation_result(self, generation: Generation) -> GenerationResult:
        """Return the result of a generation so far; every pipe of it has begun or ended."""
        results = tuple(self.results.get(p) or self._running(p) for p in generation)
        seconds = self._seconds.get(generation.number, 0.0)
        return GenerationResult(generation.number, results, seconds)

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

    def _running(self, pipe_id: str) -> PipeResult:
        stream = self.streams[pipe_id]
        seconds = self._threads.now() - stream.began
        return PipeResult(
            pipe_id, PipeStatus.RUNNING, seconds, streaming_query=stream.handle, attempts=1
        )
