"""Streams of a plan: started in its order, watched, and stopped against it.

    start    generation 0 (consumers) ... ready? ... generation 1 ... ready? ... (producers)
    run      the batch pipes of a hybrid plan, forward, while the streams run
    stop     the last one that was started first: it drains and stops, then what reads from it

A stream that fails fails the run: every other one is stopped, in the same order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType

from kindling_airflow.errors import PipeTimeoutError, StreamError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.generation_executor.batch import BatchRun, Watch
from kindling_airflow.generation_executor.events import Events
from kindling_airflow.generation_executor.hybrid import stream_part
from kindling_airflow.generation_executor.options import StreamingOptions, StreamLimits
from kindling_airflow.generation_executor.results import (
    ExecutionInterrupted,
    ExecutionResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.generation_executor.run_record import INTERRUPTED
from kindling_airflow.generation_executor.runners import StreamHandle, StreamStarter
from kindling_airflow.generation_executor.signals import execution_started
from kindling_airflow.generation_executor.stream_calls import Started, Starting, trouble_in
from kindling_airflow.generation_executor.stream_results import Stream, StreamResults
from kindling_airflow.generation_executor.threads import Threads


class _StreamFailed(Exception):  # noqa: N818 (becomes a StreamError)
    def __init__(self, stream: Stream, error: BaseException | str) -> None:
        self.stream = stream
        self.error = error
        self.cause = error if isinstance(error, BaseException) else None
        self.reason = f"stream {stream.pipe_id!r} failed"
        super().__init__(str(error))


class StreamingExecution:
    """The streams of a plan, running; leaving its ``with`` block stops them in order.

    Created by ``GenerationExecutor.execute_streaming``. May be used by several threads.

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
        limits: Mapping[str, StreamLimits],
        new_threads: Callable[[], Threads],
        events: Events,
        batch: BatchRun | None = None,
    ) -> None:
        self.plan = plan
        self.run_id = events.run_id
        self._starter = starter
        self._options = options
        self._limits = limits
        self._new_threads = new_threads
        self._threads = new_threads()
        self._events = events
        self._batch = batch
        self._lock = threading.RLock()
        self._streams = StreamResults(plan, self._threads, events)
        self._result: ExecutionResult | None = None
        self._skips_draining = False  # after a second interrupt

    @property
    def streaming_queries(self) -> Mapping[str, StreamHandle]:
        """The handles of the streams, by pipe, in the order of their start."""
        return self._streams.handles

    @property
    def batch_results(self) -> tuple[PipeResult, ...]:
        """The results of the batch pipes of a hybrid plan; empty for other plans."""
        return () if self._batch is None else tuple(self._batch.results.values())

    @property
    def result(self) -> ExecutionResult | None:
        """The result of each pipe; None while streams are running."""
        return self._result

    def begin(self) -> None:
        """Start the streams, each generation when the one before is ready; then run the batch.

        Raises:
            StreamError: a stream failed, or was not ready in time; all were stopped.
            ExecutionInterrupted: ``KeyboardInterrupt``; all were stopped, without being drained if
                there was a second one.
        """
        with self._lock:
            try:
                try:
                    self._start_all()
                except _StreamFailed as failed:
                    raise self._failure(failed) from failed.cause
            except StreamError:
                raise
            except KeyboardInterrupt as interrupt:
                raise ExecutionInterrupted(self._wind_up_interrupted()) from interrupt
            except BaseException:
                self._wind_up(INTERRUPTED)
                raise

    def _failure(self, failed: _StreamFailed) -> StreamError:
        """Stop everything because a stream failed; return the error for it."""
        self._streams.record(failed.stream, PipeStatus.FAILED, failed.error)
        result = self._wind_up(failed.reason)
        text = f"{failed.reason}, and all others were stopped: {failed.error}"
        return StreamError(text, failed.stream.pipe_id, result)

    def _start_all(self) -> None:
        self._events.send(execution_started)
        for generation in stream_part(self.plan):
            self._start_generation(generation)
        if self._batch is not None:
            self._run_batch(self._batch)

    def await_termination(self, timeout: float | None = None) -> bool:
        """Wait until every stream has ended.

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
                        self._poll_all()
                    except _StreamFailed as failed:
                        raise self._failure(failed) from failed.cause
                    if self._streams.all_ended():
                        self._wind_up("")
                if self._result is not None:
                    return True
            left = poll if deadline is None else min(poll, deadline - self._threads.now())
            if left <= 0:
                return False
            self._threads.wait(left)

    def stop(self) -> ExecutionResult:
        """Drain and stop every stream, producers first, and return the result of each pipe.

        Nothing is raised for a stream that failed, or could not be stopped in time: the result
        says so. Calling it again changes nothing; after an interrupt it continues.
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
        self._streams.generation_begins(generation, generation.pipe_ids)
        for pipe_id in generation:
            self._start(self._streams.open(pipe_id))
        self._await_ready([self._streams.streams[pipe_id] for pipe_id in generation])
        self._streams.generation_is_ready()

    def _start(self, stream: Stream) -> None:
        """Start a stream; this may take until the stream must be ready."""
        starting = Starting(self._starter, stream.pipe_id)
        threads = self._new_threads()
        threads.start(f"kindling-start-{stream.pipe_id}", starting.run)
        started: Started | None = None
        try:
            while started is None:
                started = threads.wait(self._time_until_poll([stream]))
                if started is None:
                    self._poll_all()
                    self._check_deadline(stream)
        except BaseException:
            stream.handle = starting.abandon()
            raise
        stream.handle = started.handle
        if started.error is not None:
            raise _StreamFailed(stream, started.error)

    def _await_ready(self, streams: list[Stream]) -> None:
        while True:
            self._poll_all()
            unready = [stream for stream in streams if not stream.ready]
            if not unready:
                return
            for stream in unready:
                self._check_deadline(stream)
            self._threads.wait(self._time_until_poll(unready))

    def _run_batch(self, batch: BatchRun) -> None:
        """Run the batch pipes; after a stream has failed no further one is started."""
        found: list[_StreamFailed] = []

        def trouble() -> str:
            try:
                self._poll_all()
            except _StreamFailed as failed:
                found.append(failed)
                return failed.reason
            return ""

        batch.run_part(Watch(trouble, self._options.poll_seconds))
        if found:
            raise found[0]

    def _time_until_poll(self, unready: list[Stream]) -> float:
        next_deadline = min(map(self._deadline, unready))
        return min(self._options.poll_seconds, next_deadline - self._threads.now())

    def _deadline(self, stream: Stream) -> float:
        return stream.began + self._limits[stream.pipe_id].ready

    def _check_deadline(self, stream: Stream) -> None:
        if self._deadline(stream) <= self._threads.now():
            limit = self._limits[stream.pipe_id].ready
            error = PipeTimeoutError(
                f"stream {stream.pipe_id!r} was not ready within {limit:g} s\n"
                "  Fix: check what it is waiting for, or increase its stream.ready_timeout."
            )
            raise _StreamFailed(stream, error)

    def _poll_all(self) -> None:
        """Poll the streams; those that have ended without an error are recorded."""
        for stream in self._streams.streams.values():
            if stream.handle is not None and stream.pipe_id not in self._streams.results:
                self._poll(stream, stream.handle)

    def _poll(self, stream: Stream, handle: StreamHandle) -> None:
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
            self._streams.record(stream, PipeStatus.SUCCESS)

    def _wind_up(self, reason: str) -> ExecutionResult:
        """Stop what runs, producers first, and make the result; once."""
        if self._result is None:
            for stream in reversed(self._streams.streams.values()):
                self._stop(stream, reason)
            if self._batch is not None:
                self._streams.results.update(self._batch.results)
                self._streams.add_seconds(self._batch.seconds)
            self._result = self._streams.close(reason)
        return self._result

    def _wind_up_interrupted(self) -> ExecutionResult:
        """Stop what runs, even after another interrupt: streams must not be left running."""
        try:
            return self._wind_up(INTERRUPTED)
        except KeyboardInterrupt:
            self._skips_draining = True
            return self._wind_up(INTERRUPTED)

    def _stop(self, stream: Stream, reason: str) -> None:
        """Drain and stop a stream within its time limits, and record how it ended."""
        pipe_id, handle = stream.pipe_id, stream.handle
        known = self._streams.results.get(pipe_id)
        if handle is None:
            if known is None:
                error = f"stopped while starting: {reason}"
                self._streams.record(stream, PipeStatus.FAILED, error)
            return
        if known is not None and known.status is PipeStatus.SUCCESS:
            return
        undrained: object = "interrupted again" if self._skips_draining else None
        if known is None and not self._skips_draining:
            limit = self._limits[pipe_id].drain
            undrained = self._trouble(handle.drain, f"draining {pipe_id!r}", limit)
        limit = self._options.stop_timeout
        unstopped = self._trouble(handle.stop, f"stopping {pipe_id!r}", limit)
        if known is None:
            found = _error_of(handle) or unstopped
            if found is not None:
                self._streams.record(stream, PipeStatus.FAILED, found)
            else:
                notes = [f"stopped: {reason}"] if reason else []
                notes += [f"not drained: {undrained}"] if undrained is not None else []
                self._streams.record(stream, PipeStatus.SUCCESS, reason="; ".join(notes))

    def _trouble(self, call: Callable[[], object], what: str, limit: float) -> BaseException | None:
        trouble = trouble_in(call, what, limit, self._new_threads())
        if trouble is not None:
            self._events.log.warning(f"{what}: {trouble}")
        return trouble


def _error_of(handle: StreamHandle) -> BaseException | str | None:
    try:
        return handle.error()
    except Exception as error:
        return error
