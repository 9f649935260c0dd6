"""Streams of a plan: started in its order, watched, and stopped against it.

    start    generation 0 (consumers) ... ready? ... generation 1 ... ready? ... (producers)
    stop     the last one that was started first: it drains and stops, then what reads from it

A stream that fails fails the run: every other one is stopped, in the same order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any

from blinker import Signal

from kindling_airflow.errors import PipeTimeoutError, StreamError
from kindling_airflow.execution.announcer import Announcer
from kindling_airflow.execution.runners import StreamHandle, StreamStarter
from kindling_airflow.execution.settings import StreamingOptions
from kindling_airflow.execution.stream_calls import Started, Starting, trouble_in
from kindling_airflow.execution.threads import Threads
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_results import (
    ExecutionInterrupted,
    ExecutionResult,
    GenerationResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.signals import (
    execution_completed,
    execution_failed,
    execution_started,
    generation_completed,
    generation_started,
    pipe_completed,
    pipe_failed,
    pipe_skipped,
    pipe_started,
)

__all__ = ["StreamingExecution"]

_INTERRUPTED = "the execution was interrupted"


@dataclass(slots=True)
class _Stream:
    """A pipe that was told to start; without a handle it never did."""

    pipe_id: str
    began: float
    handle: StreamHandle | None = None
    ready: bool = False


class _StreamFailed(Exception):  # noqa: N818 (becomes a StreamError)
    def __init__(self, stream: _Stream, error: BaseException | str) -> None:
        self.stream = stream
        self.error = error
        super().__init__(str(error))


class StreamingExecution:
    """The streams of a plan, running; leaving its ``with`` block stops them in order.

    Made by ``GenerationExecutor.execute_streaming``. May be used by several threads.

    Attributes:
        plan: the plan.
        run_id: names the execution.
    """

    def __init__(
        self,
        plan: ExecutionPlan,
        starter: StreamStarter,
        *,
        options: StreamingOptions,
        ready_timeouts: Mapping[str, float],
        new_threads: Callable[[], Threads],
        announcer: Announcer,
    ) -> None:
        self.plan = plan
        self.run_id = announcer.run_id
        self._starter = starter
        self._options = options
        self._ready_timeouts = ready_timeouts
        self._new_threads = new_threads
        self._threads = new_threads()
        self._announcer = announcer
        self._lock = threading.RLock()
        self._began = self._threads.now()
        self._streams: dict[str, _Stream] = {}  # in the order of their start
        self._results: dict[str, PipeResult] = {}  # of those that have ended
        self._seconds: dict[int, float] = {}
        self._result: ExecutionResult | None = None

    @property
    def streaming_queries(self) -> Mapping[str, StreamHandle]:
        """The handles of the streams, by pipe, in the order of their start."""
        handles = {s.pipe_id: s.handle for s in self._streams.values() if s.handle is not None}
        return MappingProxyType(handles)

    @property
    def result(self) -> ExecutionResult | None:
        """What became of each pipe; None while streams are running."""
        return self._result

    def begin(self) -> None:
        """Start the streams, each generation when the one before is ready.

        Raises:
            StreamError: a stream failed, or was not ready in time; all were stopped.
            ExecutionInterrupted: ``KeyboardInterrupt``; all were stopped.
        """
        with self._lock:
            try:
                self._announcer.tell(execution_started)
                for generation in self.plan.generations:
                    self._start_generation(generation)
            except _StreamFailed as failed:
                raise self._failure(failed) from _cause(failed)
            except KeyboardInterrupt as interrupt:
                raise ExecutionInterrupted(self._wind_up(_INTERRUPTED)) from interrupt
            except BaseException:
                self._wind_up(_INTERRUPTED)
                raise

    def await_termination(self, timeout: float | None = None) -> bool:
        """Wait until every stream has ended.

        Args:
            timeout: how many seconds to wait at most; None: as long as it takes.

        Returns:
            Whether all have ended.

        Raises:
            StreamError: a stream failed; the others were stopped.
        """
        poll = self._options.poll_seconds
        deadline = None if timeout is None else self._threads.now() + timeout
        while True:
            with self._lock:
                if self._result is None:
                    try:
                        self._look_at_all()
                    except _StreamFailed as failed:
                        raise self._failure(failed) from _cause(failed)
                    if len(self._results) == len(self._streams):
                        self._wind_up("")
                if self._result is not None:
                    return True
            left = poll if deadline is None else min(poll, deadline - self._threads.now())
            if left <= 0:
                return False
            self._threads.wait(left)

    def stop(self) -> ExecutionResult:
        """Drain and stop every stream, producers first, and return what became of each pipe.

        Nothing is raised for a stream that failed, or could not be stopped in time: the result
        says so. Calling it again changes nothing.
        """
        with self._lock:
            return self._wind_up("")

    def __enter__(self) -> StreamingExecution:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_generation(self, generation: Generation) -> None:
        began = self._threads.now()
        if generation.pipe_ids:
            self._announcer.tell(
                generation_started, generation=generation, pipe_ids=generation.pipe_ids
            )
        for pipe_id in generation:
            self._start(_Stream(pipe_id, self._threads.now()))
        self._await_ready([self._streams[pipe_id] for pipe_id in generation])
        self._seconds[generation.number] = self._threads.now() - began
        if generation.pipe_ids:
            result = self._generation_result(generation)
            self._announcer.tell(generation_completed, generation=generation, result=result)

    def _start(self, stream: _Stream) -> None:
        """Start a stream; it may take as long as it has until it must be ready."""
        self._streams[stream.pipe_id] = stream
        self._say(pipe_started, stream.pipe_id)
        starting = Starting(self._starter, stream.pipe_id)
        threads = self._new_threads()
        threads.start(f"kindling-start-{stream.pipe_id}", starting.run)
        started: Started | None = None
        try:
            while started is None:
                started = threads.wait(self._time_until_poll([stream]))
                if started is None:
                    self._look_at_all()
                    self._must_be_in_time(stream)
        except BaseException:
            stream.handle = starting.give_up()
            raise
        stream.handle = started.handle
        if started.error is not None:
            raise _StreamFailed(stream, started.error)

    def _await_ready(self, streams: list[_Stream]) -> None:
        while True:
            self._look_at_all()
            unready = [stream for stream in streams if not stream.ready]
            if not unready:
                return
            for stream in unready:
                self._must_be_in_time(stream)
            self._threads.wait(self._time_until_poll(unready))

    def _time_until_poll(self, unready: list[_Stream]) -> float:
        """Return how long to wait before streams are looked at again."""
        next_deadline = min(map(self._deadline, unready))
        return min(self._options.poll_seconds, next_deadline - self._threads.now())

    def _deadline(self, stream: _Stream) -> float:
        return stream.began + self._ready_timeouts[stream.pipe_id]

    def _must_be_in_time(self, stream: _Stream) -> None:
        if self._deadline(stream) <= self._threads.now():
            limit = self._ready_timeouts[stream.pipe_id]
            error = PipeTimeoutError(
                f"stream {stream.pipe_id!r} was not ready within {limit:g} s\n"
                "  Fix: find out what it waits for, or raise its ready_timeout_seconds."
            )
            raise _StreamFailed(stream, error)

    def _look_at_all(self) -> None:
        """See how the streams are; those that have ended well are recorded."""
        for stream in self._streams.values():
            if stream.handle is not None and stream.pipe_id not in self._results:
                self._look_at(stream, stream.handle)

    def _look_at(self, stream: _Stream, handle: StreamHandle) -> None:
        try:
            # In this order: a stream that has ended has its error already.
            active = handle.is_active()
            error = handle.error()
            stream.ready = stream.ready or bool(handle.is_ready())
        except Exception as raised:
            raise _StreamFailed(stream, raised) from raised
        if error is not None:
            raise _StreamFailed(stream, error)
        if not active:
            if not stream.ready:
                raise _StreamFailed(stream, "the stream ended before it was ready")
            self._record(stream, PipeStatus.SUCCESS)

    def _failure(self, failed: _StreamFailed) -> StreamError:
        """Stop everything because a stream failed; return the error that says so."""
        pipe_id = failed.stream.pipe_id
        self._record(failed.stream, PipeStatus.FAILED, failed.error)
        result = self._wind_up(f"stream {pipe_id!r} failed")
        return StreamError(
            f"stream {pipe_id!r} failed, and all others were stopped: {failed.error}",
            pipe_id,
            result,
        )

    def _wind_up(self, reason: str) -> ExecutionResult:
        """Stop what runs, producers first, and close the books; once."""
        if self._result is not None:
            return self._result
        for stream in reversed(self._streams.values()):
            self._stop(stream, reason)
        for pipe_id in self.plan.pipe_ids:
            if pipe_id not in self._results:
                result = PipeResult(pipe_id, PipeStatus.NOT_RUN, reason=reason)
                self._results[pipe_id] = result
                self._say(pipe_skipped, pipe_id, result=result)
        self._result = ExecutionResult(
            plan=self.plan,
            generation_results=tuple(map(self._generation_result, self.plan.generations)),
            duration_seconds=self._threads.now() - self._began,
            run_id=self.run_id,
            streaming_queries=self.streaming_queries,
        )
        signal = execution_completed if self._result.all_succeeded else execution_failed
        self._announcer.tell(signal, result=self._result)
        return self._result

    def _stop(self, stream: _Stream, reason: str) -> None:
        """Drain and stop a stream, in the time that it is given, and record how it ended."""
        pipe_id, handle = stream.pipe_id, stream.handle
        known = self._results.get(pipe_id)
        if handle is None:
            if known is None:
                self._record(stream, PipeStatus.FAILED, f"stopped while it started: {reason}")
            return
        if known is not None and known.status is PipeStatus.SUCCESS:
            return
        options = self._options
        undrained = None
        if known is None:
            undrained = self._trouble(handle.drain, f"draining {pipe_id!r}", options.drain_timeout)
        unstopped = self._trouble(handle.stop, f"stopping {pipe_id!r}", options.stop_timeout)
        if known is None:
            error = _error_of(handle) or unstopped
            if error is not None:
                self._record(stream, PipeStatus.FAILED, error)
            else:
                said = [f"stopped: {reason}"] if reason else []
                said += [f"not drained: {undrained}"] if undrained is not None else []
                self._record(stream, PipeStatus.SUCCESS, reason="; ".join(said))

    def _trouble(self, call: Callable[[], object], what: str, limit: float) -> BaseException | None:
        trouble = trouble_in(call, what, limit, self._new_threads())
        if trouble is not None:
            self._announcer.log.warning(f"{what}: {trouble}")
        return trouble

    def _record(
        self,
        stream: _Stream,
        status: PipeStatus,
        error: BaseException | str | None = None,
        reason: str = "",
    ) -> None:
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
            reason=reason,
        )
        self._results[stream.pipe_id] = result
        if status is PipeStatus.SUCCESS:
            self._announcer.log.info(f"stream {stream.pipe_id!r} ended {reason}".rstrip())
            self._say(pipe_completed, stream.pipe_id, result=result)
        else:
            self._announcer.log.failure(f"stream {stream.pipe_id!r} failed: {error}", exception)
            self._say(pipe_failed, stream.pipe_id, result=result, exception=exception)

    def _generation_result(self, generation: Generation) -> GenerationResult:
        results = tuple(self._results.get(p) or self._running(p) for p in generation)
        seconds = self._seconds.get(generation.number, 0.0)
        return GenerationResult(generation.number, results, seconds)

    def _running(self, pipe_id: str) -> PipeResult:
        stream = self._streams[pipe_id]
        seconds = self._threads.now() - stream.began
        return PipeResult(
            pipe_id, PipeStatus.RUNNING, seconds, streaming_query=stream.handle, attempts=1
        )

    def _say(self, signal: Signal, pipe_id: str, **payload: Any) -> None:
        number = self.plan.find_pipe_generation(pipe_id)
        self._announcer.tell(signal, pipe_id=pipe_id, generation_number=number, **payload)


def _error_of(handle: StreamHandle) -> BaseException | str | None:
    try:
        return handle.error()
    except Exception as error:
        return error


def _cause(failed: _StreamFailed) -> BaseException | None:
    return failed.error if isinstance(failed.error, BaseException) else None
