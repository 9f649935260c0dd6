"""Runs a plan in one process, through any callable that runs one pipe.

    executor = GenerationExecutor(run_pipe)
    result = executor.execute_batch(plan, parallel=True, max_workers=4)

A generation starts when the one before is done; pipes of one generation may run in parallel, in
threads. What a pipe does is up to ``run_pipe``: it may start a Spark job, call a service, or print.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.errors import ExecutionError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import is_forward
from kindling_airflow.generation_executor.batch import BatchRun
from kindling_airflow.generation_executor.events import Events, Log
from kindling_airflow.generation_executor.hybrid import batch_part
from kindling_airflow.generation_executor.options import (
    BatchOptions,
    ErrorStrategy,
    PipeOptions,
    Problems,
    RetryPolicy,
    StreamingOptions,
    StreamLimits,
    pipe_options,
    stream_limits,
)
from kindling_airflow.generation_executor.results import (
    ExecutionInterrupted,
    ExecutionResult,
    GenerationResult,
    PipeResult,
    PipeStatus,
)
from kindling_airflow.generation_executor.runners import (
    Cancellable,
    PipeRunner,
    PipeSkipped,
    ReportingStream,
    SharedReads,
    Skipped,
    StreamHandle,
    StreamStarter,
)
from kindling_airflow.generation_executor.shared_reads import SharedEntities, recommended_reads
from kindling_airflow.generation_executor.streams import StreamingExecution
from kindling_airflow.generation_executor.threads import DaemonThreads, Threads

__all__ = [
    "Cancellable",
    "ErrorStrategy",
    "ExecutionInterrupted",
    "ExecutionResult",
    "GenerationExecutor",
    "GenerationResult",
    "PipeResult",
    "PipeRunner",
    "PipeSkipped",
    "PipeStatus",
    "ReportingStream",
    "RetryPolicy",
    "SharedReads",
    "Skipped",
    "StreamHandle",
    "StreamStarter",
    "StreamingExecution",
    "StreamingOptions",
]


def _backwards(plan: ExecutionPlan) -> str:
    """Return why a valid plan that is not forward is not a batch plan: the first such edge."""
    number_of = {pipe_id: g.number for g in plan.generations for pipe_id in g}
    edge = next(
        edge
        for edge in plan.graph.edges
        if number_of.get(edge.from_pipe, -1) > number_of.get(edge.to_pipe, len(number_of))
    )
    return (
        f"a plan of strategy {plan.strategy!r} is not a batch plan: pipe {edge.to_pipe!r} "
        f"(generation {number_of[edge.to_pipe]}) reads entity {edge.entity!r} "
        f"of pipe {edge.from_pipe!r} (generation {number_of[edge.from_pipe]})\n"
        "  Fix: create a batch plan for these pipes, run this plan unchanged with execute(), or "
        "start it as streams with execute_streaming()."
    )


class GenerationExecutor:
    """Executes plans; may be used for several, also at once.

    Args:
        run_pipe: runs a pipe; see :mod:`~kindling_airflow.generation_executor.runners` for what it
            may return and what else it may offer (``cancel``, ``share`` and ``release``,
            ``start``).
        logger_provider: anything with ``get_logger(name)``; by default the standard logging.
        threads: makes the time and threads of an execution; to be replaced in tests.
        new_run_id: names an execution that was not given a name.
    """

    def __init__(
        self,
        run_pipe: PipeRunner,
        *,
        logger_provider: Any = None,
        threads: Callable[[], Threads] = DaemonThreads,
        new_run_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._run_pipe = run_pipe
        self._log = Log(logger_provider, __name__)
        self._new_threads = threads
        self._new_run_id = new_run_id

    def execute(
        self,
        plan: ExecutionPlan,
        parallel: bool = False,
        max_workers: int = 4,
        error_strategy: ErrorStrategy | str = ErrorStrategy.SKIP_DEPENDENTS,
        pipe_timeout: float | None = None,
        *,
        retry_attempts: int = 0,
        retry_interval_seconds: float = 30.0,
        overrides: Mapping[str, Mapping[str, Any]] = EMPTY,
        auto_cache: bool = False,
        run_id: str | None = None,
    ) -> ExecutionResult:
        """Run every pipe of a plan to its end, and return the result of each.

        A failed pipe is not an error: the result says so, and ``result.raise_if_failed()`` raises.

        Args:
            plan: the plan; its order must not be reverse or hybrid, which need streams.
                A plan without a fixed order runs unchanged; :meth:`execute_batch` requires it to
                be forward.
            parallel: whether the pipes of a generation run in parallel, else one by one.
            max_workers: how many run at once in parallel.
            error_strategy: what a failed pipe means for the others.
            pipe_timeout: how many seconds one attempt of a pipe may take; None: no limit. After
                that the execution continues without it, and the runner's ``cancel`` is called.
            retry_attempts: how often a failed pipe is retried.
            retry_interval_seconds: how long to wait before each retry.
            overrides: options by pipe, stronger than the pipe's tags, which are stronger than
                these arguments: ``{"gold.sales": {"retry.attempts": 2, "timeout_seconds": 600}}``.
            auto_cache: whether to keep the entities that the plan recommends between the pipes
                that read them; needs a runner that can (:class:`SharedReads`), else a warning is
                logged.
            run_id: names this execution; by default a new one.

        Raises:
            PlanValidationError: the plan breaks a rule of its strategy. Nothing was run.
            ExecutionError: options are invalid, or the plan is for streams. Nothing was run.
            ExecutionInterrupted: ``KeyboardInterrupt``, with the results so far.
        """
        plan.validate()
        problems = Problems()
        if plan.direction() in ("reverse", "hybrid") and not is_forward(plan):
            problems.append(
                f"a plan of strategy {plan.strategy!r} cannot be run as a batch: its order is "
                f"{plan.direction()}, so consumers would run before their producers\n"
                "  Fix: create a batch plan for these pipes, or start them as streams with "
                "execute_streaming()."
            )
        options = {
            "parallel": parallel,
            "max_workers": max_workers,
            "error_strategy": error_strategy,
            "pipe_timeout": pipe_timeout,
            "retry_attempts": retry_attempts,
            "retry_interval_seconds": retry_interval_seconds,
            "overrides": overrides,
        }
        batch = self._batch(plan, options, self._events(plan, run_id), problems, auto_cache)
        problems.raise_if_any()
        return batch.run()

    def execute_batch(
        self, plan: ExecutionPlan, parallel: bool = False, max_workers: int = 4, **options: Any
    ) -> ExecutionResult:
        """Run a plan whose producers come before their consumers.

        Options and errors are those of :meth:`execute`; a plan without a fixed order must be
        forward as well.

        Raises:
            ExecutionError: the plan is not forward. Nothing was run.
        """
        if plan.direction() is None and not is_forward(plan):
            plan.validate()
            raise ExecutionError([_backwards(plan)])
        return self.execute(plan, parallel, max_workers, **options)

    def execute_streaming(
        self,
        plan: ExecutionPlan,
        streaming_options: StreamingOptions | Mapping[str, float] = EMPTY,
        *,
        batch_options: BatchOptions | Mapping[str, Any] = EMPTY,
        run_id: str | None = None,
    ) -> StreamingExecution:
        """Start every stream of a plan, and return when all are ready.

        The batch pipes of a hybrid plan run then, in forward order, while the streams run; it
        returns when they have ended. A failed batch pipe is not an error: the result says so. After
        a stream has failed no further one is started.

        Args:
            plan: the plan; its order must not be forward.
            streaming_options: the time limits.
            batch_options: how the batch pipes of a hybrid plan run: the arguments of
                :meth:`execute`, from ``parallel`` to ``overrides``.
            run_id: names this execution; by default a new one.

        Raises:
            PlanValidationError: the plan breaks a rule of its strategy. Nothing was started.
            ExecutionError: options are invalid, the plan is for batch, or the runner cannot
                start streams. Nothing was started.
            StreamError: a stream failed or was not ready in time; all were stopped.
            ExecutionInterrupted: ``KeyboardInterrupt``; all were stopped.
        """
        plan.validate()
        problems = Problems()
        if plan.direction() == "forward":
            problems.append(
                f"a plan of strategy {plan.strategy!r} cannot be started as streams: its order is "
                "forward, so consumers would not be ready before their producers\n"
                "  Fix: create a streaming plan for these pipes, or run them with execute_batch()."
            )
        options = problems.of(lambda: StreamingOptions.of(streaming_options), StreamingOptions())
        limits = problems.of(lambda: stream_limits(plan, options), dict[str, StreamLimits]())
        part, events = batch_part(plan), self._events(plan, run_id)
        if part is None:
            batch = None
            problems.of(lambda: BatchOptions.of(batch_options), BatchOptions())
        else:
            batch = self._batch(part, batch_options, events, problems)
        starter = self._run_pipe
        if not isinstance(starter, StreamStarter):
            problem = (
                "the pipe runner cannot start streams\n"
                "  Fix: give it a method start(pipe_id) that returns a StreamHandle."
            )
            raise ExecutionError([*problems, problem])
        problems.raise_if_any()
        execution = StreamingExecution(
            plan,
            starter,
            options=options,
            limits=limits,
            new_threads=self._new_threads,
            events=events,
            batch=batch,
        )
        execution.begin()
        return execution

    def _batch(
        self,
        plan: ExecutionPlan,
        given: BatchOptions | Mapping[str, Any],
        events: Events,
        problems: Problems,
        auto_cache: bool = False,
    ) -> BatchRun:
        """Return a run of a plan, which must not begin if problems were found."""
        overrides = given.get("overrides") if isinstance(given, Mapping) else None
        usual = BatchOptions(overrides=overrides if isinstance(overrides, Mapping) else EMPTY)
        options = problems.of(lambda: BatchOptions.of(given), usual)
        by_pipe = problems.of(lambda: pipe_options(plan, options), dict[str, PipeOptions]())
        reads, wrong = recommended_reads(plan)
        if auto_cache:
            problems += wrong
        threads = self._new_threads()
        return BatchRun(
            plan,
            self._run_pipe,
            options=options,
            pipe_options=by_pipe,
            threads=threads,
            shared_reads=SharedEntities(reads, self._run_pipe, auto_cache, events, threads.post),
            events=events,
        )

    def _events(self, plan: ExecutionPlan, run_id: str | None) -> Events:
        return Events(self, self._log, self._new_run_id() if run_id is None else run_id, plan)
