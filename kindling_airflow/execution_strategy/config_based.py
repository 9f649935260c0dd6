"""The order that the pipes' tags ``processing_mode`` request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy.base import (
    BudgetedStrategy,
    ExecutionStrategy,
    check_members,
)
from kindling_airflow.execution_strategy.batch import BatchExecutionStrategy
from kindling_airflow.execution_strategy.hybrid import HybridExecutionStrategy, processing_modes
from kindling_airflow.execution_strategy.streaming import StreamingExecutionStrategy
from kindling_airflow.pipe_graph import PipeGraph

__all__ = ["ConfigBasedExecutionStrategy"]


class ConfigBasedExecutionStrategy(BudgetedStrategy):
    """Batch order if all pipes are batch pipes, streaming order if all stream, else hybrid order.

    A pipe without the tag ``processing_mode`` is a batch pipe. One streaming pipe among batch pipes
    does not turn the whole plan around: under streaming order the batch pipes would run before
    their data is there. The hybrid order gives both kinds what they need. The memory budget counts
    where the order is batch.
    """

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan of the strategy that the tags request, under this strategy's name.

        Its metadata is that of the other plan and ``detected_mode`` (``batch``, ``streaming`` or
        ``hybrid``) with ``mode_source`` (``pipe_tags``, or ``default`` where no pipe has the tag).

        Raises:
            GraphValidationError: as the other strategy does, or a ``processing_mode`` is neither
                ``batch`` nor ``streaming``.
        """
        check_members(graph, pipe_ids)
        modes = processing_modes(graph, pipe_ids)
        streams = sum(mode == "streaming" for mode in modes.values())
        strategy: ExecutionStrategy
        if not streams:
            strategy = BatchExecutionStrategy(
                self.logger_provider, memory_budget_bytes=self.memory_budget_bytes
            )
        elif streams == len(set(pipe_ids)):
            strategy = StreamingExecutionStrategy(self.logger_provider)
        else:
            strategy = HybridExecutionStrategy(self.logger_provider)
        made = strategy.plan(graph, pipe_ids)
        metadata = {
            **made.metadata,
            "detected_mode": made.strategy,
            "mode_source": "pipe_tags" if modes else "default",
        }
        return self._planned(replace(made, strategy=self.get_strategy_name(), metadata=metadata))

    def get_strategy_name(self) -> str:
        """Return ``"config_based"``."""
        return "config_based"
