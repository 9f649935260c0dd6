"""Runs a plan to its end, generation by generation.

    the calling thread                               a daemon thread for each attempt
    ------------------                               --------------------------------
    begin pipes while there are slots         ---->  run_pipe(pipe_id)
    wait: a message, or the next deadline     <----  how it ended
    record, send signals, decide what follows

Everything is decided, recorded and signalled in the calling thread, so signals are sent one after
the other, in the order in which things happened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.generation_executor.attempts import Attempts, PipeEnd, Retry
from kindling_airflow.generation_executor.events import Events
from kindling_airflow.generation_executor.options import BatchOptions, ErrorStrategy, PipeOptions
from kindling_airflow.generation_executor.results import (
    ExecutionInterrupted,
    ExecutionResult,
    PipeResult,
    PipeStatus,
    with_class,
)
from kindling_airflow.generation_executor.run_record import INTERRUPTED, RunRecord
from kindling_airflow.generation_executor.runners import PipeRunner
from kindling_airflow.generation_executor.shared_reads import SharedEntities
from kindling_airflow.generation_executor.signals import (
    execution_started,
    pipe_completed,
    pipe_failed,
    pipe_retrying,
    pipe_skipped,
    pipe_started,
)
from kindling_airflow.generation_executor.threads import Threads

_MOST_CAUSES = 10  # in a wide plan, thousands of pipes may have thousands of causes


@dataclass(frozen=True, slots=True)
class Watch:
    """Something beside a run that may be a reason to start nothing more.

    Attributes:
        trouble: returns the reason, or "".
        every_seconds: how often it is called, at least.
    """

    trouble: Callable[[], str]
    every_seconds: float


class BatchRun:
    """One execution of a valid plan, or of the batch part of one."""

    def __init__(
        self,
        plan: ExecutionPlan,
        run_pipe: PipeRunner,
        *,
        options: BatchOptions,
        pipe_options: Mapping[str, PipeOptions],
        threads: Threads,
        shared_reads: SharedEntities,
        events: Events,
    ) -> None:
        self._plan = plan
        self._strategy = ErrorStrategy(options.error_strategy)
        self._threads = threads
        self._shared_reads = shared_reads
        self._events = events
        self._attempts = Attempts(
            run_pipe,
            options,
            pipe_options,
            threads,
            events.log,
            on_retry=self._retrying,
            on_message=shared_reads.reported,
        )
        self._record = RunRecord(plan, threads, events)
        self._causes: dict[str, tuple[str, ...]] = {}  # by pipe that is not available to others
        self._stop = ""  # why nothing more is started
        self._watch: Watch | None = None

    @property
    def results(self) -> Mapping[str, PipeResult]:
        """The results of the pipes that have ended, or will not run."""
        return self._record.results

    @property
    def seconds(self) -> Mapping[int, float]:
        """How long the generations took that have ended, by number."""
        return self._record.seconds

    def run(self) -> ExecutionResult:
        """Run the plan and return the result of every pipe.

        Raises:
            ExecutionInterrupted: ``KeyboardInterrupt``, with the results so far.
        """
        try:
            with self._wound_down():
                self._events.send(execution_started)
                self._run_all()
        except KeyboardInterrupt as interrupt:
            raise ExecutionInterrupted(self._finish()) from interrupt
        except BaseException:
            self._finish()
            raise
        return self._finish()

    def run_part(self, watch: Watch) -> None:
        """Run the plan as a part of an execution that the caller begins and ends.

        Every pipe is in :attr:`results` afterwards, also when something is raised.
        """
        self._watch = watch
        with self._wound_down():
            self._run_all()

    def _run_all(self) -> None:
        self._shared_reads.recommend()
        for generation in self._plan.generations:
            self._run_generation(generation)

    @contextmanager
    def _wound_down(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._wind_down()
            raise
        finally:
            self._shared_reads.release_all()

    def _run_generation(self, generation: Generation) -> None:
        ready = deque(self._admitted(generation))
        if not ready:
            return
        self._record.generation_begins(generation, ready)
        self._shared_reads.before(ready)
        while ready or self._attempts.any_left():
            self._attempts.resume()
            while ready and self._attempts.has_slot():
                pipe_id = ready.popleft()
                self._events.send_of_pipe(pipe_started, pipe_id)
                self._attempts.begin(pipe_id)
            end = self._attempts.next_end(
                None if self._watch is None else self._watch.every_seconds
            )
            if end is not None:
                self._ended(end)
            if self._watch is not None and not self._stop:
                self._stop = self._watch.trouble()
            if self._stop:
                self._drop(ready)
        self._record.generation_ends()

    def _drop(self, ready: deque[str]) -> None:
        for pipe_id in ready:
            self._not_run(pipe_id, self._stop)
        ready.clear()
        self._attempts.stop_retrying(self._stop)

    def _wind_down(self) -> None:
        """End in order: every pipe gets a result, every start signal its counterpart."""
        self._stop = INTERRUPTED
        self._attempts.abandon(INTERRUPTED)
        for end in self._attempts.ends():
            self._ended(end)
        for pipe_id in self._plan.pipe_ids:
            if pipe_id not in self.results:
                self._not_run(pipe_id, INTERRUPTED)
        self._record.generation_ends()

    def _finish(self) -> ExecutionResult:
        return self._record.finish(cache_metrics=self._shared_reads.metrics())

    def _admitted(self, generation: Generation) -> list[str]:
        """Return the pipes of a generation that are to run; the others are recorded."""
        admitted = []
        for pipe_id in generation:
            causes = self._unmet(pipe_id)
            if self._stop:
                self._not_run(pipe_id, self._stop)
            elif causes:
                self._causes[pipe_id] = causes
                what = "pipe" if len(causes) == 1 else "pipes"
                self._not_run(pipe_id, f"upstream {what} {', '.join(map(repr, causes))} failed")
            else:
                admitted.append(pipe_id)
        return admitted

    def _unmet(self, pipe_id: str) -> tuple[str, ...]:
        """Return the failed pipes that a pipe cannot run without, ten at most."""
        producers = self._plan.graph.get_dependencies(pipe_id)
        found = {cause: None for p in producers for cause in self._causes.get(p, ())}
        return tuple(found)[:_MOST_CAUSES]

    def _ended(self, end: PipeEnd) -> None:
        outcome = end.outcome
        result = PipeResult(
            pipe_id=end.pipe_id,
            status=outcome.status,
            duration_seconds=end.duration_seconds,
            error=outcome.error,
            error_type=outcome.error_type,
            attempts=end.attempts,
            report=outcome.report,
            reason=end.reason,
        )
        self._record.results[end.pipe_id] = result
        log = self._events.log
        if result.status is PipeStatus.FAILED:
            log.failure(f"pipe {end.pipe_id!r} failed: {result.error_text}", outcome.exception)
            if self._strategy is ErrorStrategy.SKIP_DEPENDENTS:
                self._causes[end.pipe_id] = (end.pipe_id,)
            elif self._strategy is ErrorStrategy.FAIL_FAST and not self._stop:
                self._stop = f"pipe {end.pipe_id!r} failed (fail_fast)"
            self._events.send_of_pipe(
                pipe_failed, end.pipe_id, result=result, exception=outcome.exception
            )
        else:
            done = result.status is PipeStatus.SUCCESS
            log.info(f"pipe {end.pipe_id!r} {'done' if done else f'skipped: {end.reason}'}")
            self._events.send_of_pipe(
                pipe_completed if done else pipe_skipped, end.pipe_id, result=result
            )
        self._shared_reads.ended(end.pipe_id)

    def _not_run(self, pipe_id: str, reason: str) -> None:
        self._events.log.warning(f"pipe {pipe_id!r} was not run: {reason}")
        self._record.not_run(pipe_id, reason)
        self._shared_reads.ended(pipe_id)

    def _retrying(self, retry: Retry) -> None:
        outcome = retry.outcome
        self._events.log.warning(
            f"pipe {retry.pipe_id!r}: attempt {retry.attempt} failed, retrying in "
            f"{retry.wait_seconds:g} s: {with_class(outcome.error_type, outcome.error or '')}"
        )
        self._events.send_of_pipe(
            pipe_retrying,
            retry.pipe_id,
            attempt=retry.attempt,
            error=outcome.error,
            exception=outcome.exception,
            wait_seconds=retry.wait_seconds,
        )
