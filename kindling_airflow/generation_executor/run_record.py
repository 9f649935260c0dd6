"""The record of a run: the result of each pipe, the times of generations, and their signals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from blinker import Signal

from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.generation_executor.events import Events
from kindling_airflow.generation_executor.results import (
    ExecutionResult,
    GenerationResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.generation_executor.signals import (
    generation_completed,
    generation_failed,
    generation_started,
    pipe_skipped,
)
from kindling_airflow.generation_executor.threads import Threads

INTERRUPTED = "the execution was interrupted"


class RunRecord:
    """The results of a plan's pipes, and how long its generations took.

    Attributes:
        results: of pipes that have ended, or will not run.
        seconds: of the generations that have ended, by number.
    """

    def __init__(self, plan: ExecutionPlan, threads: Threads, events: Events) -> None:
        self._plan = plan
        self._threads = threads
        self._events = events
        self._began = threads.now()
        self._current: tuple[Generation, float] | None = None  # and since when
        self.results: dict[str, PipeResult] = {}
        self.seconds: dict[int, float] = {}

    def generation_begins(self, generation: Generation, pipe_ids: Collection[str]) -> None:
        """Record that pipes of a generation are starting; without pipes nothing begins."""
        if pipe_ids:
            self._current = (generation, self._threads.now())
            self._events.send(generation_started, generation=generation, pipe_ids=tuple(pipe_ids))

    def generation_ends(self, signal: Signal | None = None) -> None:
        """Record that the generation that has begun ends, by default as its results say."""
        if self._current is None:
            return
        generation, began = self._current
        self._current = None
        self.add_seconds({generation.number: self._threads.now() - began})
        result = self._generation_result(generation)
        usual = generation_completed if result.all_succeeded else generation_failed
        self._events.send(signal or usual, generation=generation, result=result)

    def add_seconds(self, seconds: Mapping[int, float]) -> None:
        """Record how long generations took, by number."""
        for number, more in seconds.items():
            self.seconds[number] = self.seconds.get(number, 0.0) + more

    def not_run(self, pipe_id: str, reason: str) -> None:
        """Record that a pipe will not run."""
        result = self.results[pipe_id] = PipeResult(pipe_id, PipeStatus.NOT_RUN, reason=reason)
        self._events.send_of_pipe(pipe_skipped, pipe_id, result=result)

    def finish(self, **further: Any) -> ExecutionResult:
        """Return the result of the whole plan, and signal it."""
        result = ExecutionResult(
            plan=self._plan,
            generation_results=tuple(map(self._generation_result, self._plan.generations)),
            duration_seconds=self._threads.now() - self._began,
            run_id=self._events.run_id,
            **further,
        )
        self._events.send_end(result)
        return result

    def _generation_result(self, generation: Generation) -> GenerationResult:
        results = tuple(self.results.get(p) or self._unfinished(p) for p in generation)
        seconds = self.seconds.get(generation.number, 0.0)
        return GenerationResult(generation.number, results, seconds)

    def _unfinished(self, pipe_id: str) -> PipeResult:
        """Return the result of a pipe without one: only if an interrupt was itself interrupted."""
        return PipeResult(pipe_id, PipeStatus.NOT_RUN, reason=INTERRUPTED)
