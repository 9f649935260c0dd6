"""Plans and executes in one call.

orchestrator = ExecutionOrchestrator(generator, executor)
result = orchestrator.execute_batch(["bronze.orders", "silver.orders"], parallel=True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator, ExecutionStrategy
from kindling_airflow.generation_executor import (
    ExecutionResult,
    GenerationExecutor,
    StreamingExecution,
    StreamingOptions,
)
from kindling_airflow.generation_executor.events import Log
from kindling_airflow.generation_executor.options import BatchOptions
from kindling_airflow.generation_executor.signals import emit, plan_generated

__all__ = ["ExecutionOrchestrator"]


class ExecutionOrchestrator:
    """Creates plans and executes them.

    Args:
        plan_generator: creates the plans.
        generation_executor: executes them.
        logger_provider: anything with ``get_logger(name)``; by default the standard logging.
    """

    def __init__(
        self,
        plan_generator: ExecutionPlanGenerator,
        generation_executor: GenerationExecutor,
        logger_provider: Any = None,
    ) -> None:
        self._generator = plan_generator
        self._executor = generation_executor
        self._log = Log(logger_provider, __name__)

    def execute(
        self,
        pipe_ids: Sequence[str] | None = None,
        strategy: ExecutionStrategy | str = "batch",
        **options: Any,
    ) -> ExecutionResult:
        """Plan these pipes (default: all that are declared) and run them to their end.

        Args:
            pipe_ids: the pipes.
            strategy: the order, as an object or by name.
            options: those of :meth:`GenerationExecutor.execute`, whose errors are raised too.

        Raises:
            GraphValidationError: the pipes do not form a valid graph, or the strategy is unknown.
            PlanValidationError: the strategy created a plan that breaks its own rules.
        """
        return self._executor.execute(self._plan(pipe_ids, strategy), **options)

    def execute_batch(
        self, pipe_ids: Sequence[str] | None = None, **options: Any
    ) -> ExecutionResult:
        """Plan these pipes in the order of batch and run them; see :meth:`execute`."""
        return self.execute(pipe_ids, "batch", **options)

    def execute_streaming(
        self,
        pipe_ids: Sequence[str] | None = None,
        streaming_options: StreamingOptions | Mapping[str, float] = EMPTY,
        *,
        strategy: ExecutionStrategy | str = "streaming",
        batch_options: BatchOptions | Mapping[str, Any] = EMPTY,
        run_id: str | None = None,
    ) -> StreamingExecution:
        """Plan these pipes in the order of streaming and start them.

        See :meth:`GenerationExecutor.execute_streaming` for the options and errors, and
        :meth:`execute` for those of planning.
        """
        plan = self._plan(pipe_ids, strategy)
        return self._executor.execute_streaming(
            plan, streaming_options, batch_options=batch_options, run_id=run_id
        )

    def _plan(
        self, pipe_ids: Sequence[str] | None, strategy: ExecutionStrategy | str
    ) -> ExecutionPlan:
        plan = self._generator.generate_plan(pipe_ids, strategy)
        common = {"plan": plan, "pipe_ids": plan.pipe_ids, "strategy": plan.strategy}
        emit(plan_generated, self, self._log.receiver_failed, **common)
        return plan
