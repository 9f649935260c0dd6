"""WHEN: the strategies that turn a dependency graph into an ordered plan.

    a -> b -> d        batch (sources to sinks)        streaming (sinks to sources)
    a -> c -> d        0: a   1: b c   2: d            0: d   1: b c   2: a

Both put each pipe into the earliest generation that its rule allows: under batch a pipe comes one
generation after the last of its producers, under streaming one after the last of its consumers.
A generation's pipes stand in the order in which they were asked for. The strategies themselves,
these two and three more, are in :mod:`kindling_airflow.strategies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kindling_airflow.bulk import collector_paused
from kindling_airflow.execution_plan import ExecutionPlan, Generation, PlanValidationError
from kindling_airflow.pipe_graph import PipeGraphBuilder, PipeSource
from kindling_airflow.plan_report import visualize_plan
from kindling_airflow.strategies.base import ExecutionStrategy
from kindling_airflow.strategies.batch import BatchExecutionStrategy
from kindling_airflow.strategies.by_name import resolve_strategy, strategy_by_name
from kindling_airflow.strategies.config_based import ConfigBasedExecutionStrategy
from kindling_airflow.strategies.hybrid import HybridExecutionStrategy
from kindling_airflow.strategies.priority import PriorityExecutionStrategy
from kindling_airflow.strategies.streaming import StreamingExecutionStrategy

__all__ = [
    "BatchExecutionStrategy",
    "ConfigBasedExecutionStrategy",
    "ExecutionPlan",
    "ExecutionPlanGenerator",
    "ExecutionStrategy",
    "Generation",
    "HybridExecutionStrategy",
    "PlanValidationError",
    "PriorityExecutionStrategy",
    "StreamingExecutionStrategy",
    "strategy_by_name",
]


class ExecutionPlanGenerator:
    """The facade: pipe ids in, validated plan out.

    Args:
        pipes_manager: the registry (or manifest) with the declarations.
        graph_builder: builds the graph; by default from ``pipes_manager``.
        logger_provider: anything with ``get_logger(name)``; optional.
    """

    def __init__(
        self,
        pipes_manager: PipeSource,
        graph_builder: PipeGraphBuilder | None = None,
        logger_provider: Any = None,
    ) -> None:
        self.pipes_manager = pipes_manager
        self.graph_builder = graph_builder or PipeGraphBuilder(pipes_manager, logger_provider)
        self.logger_provider = logger_provider

    def generate_batch_plan(self, pipe_ids: Sequence[str] | None = None) -> ExecutionPlan:
        """Return the validated batch plan of these pipes (default: all that are declared)."""
        return self.generate_plan(pipe_ids, BatchExecutionStrategy(self.logger_provider))

    def generate_streaming_plan(self, pipe_ids: Sequence[str] | None = None) -> ExecutionPlan:
        """Return the validated streaming plan of these pipes (default: all that are declared)."""
        return self.generate_plan(pipe_ids, StreamingExecutionStrategy(self.logger_provider))

    def generate_config_based_plan(self, pipe_ids: Sequence[str] | None = None) -> ExecutionPlan:
        """Return the validated plan in the order that the pipes' ``processing_mode`` tags ask for.

        See :class:`ConfigBasedExecutionStrategy`; by default all pipes that are declared.
        """
        return self.generate_plan(pipe_ids, ConfigBasedExecutionStrategy(self.logger_provider))

    def generate_plan(
        self,
        pipe_ids: Sequence[str] | None,
        strategy: ExecutionStrategy | type[ExecutionStrategy] | str,
    ) -> ExecutionPlan:
        """Return the validated plan of these pipes under a strategy.

        Args:
            pipe_ids: the pipes, in the order in which they are to stand in their generations; None
                for all that are declared.
            strategy: an object, a class, or the name of a built-in strategy or of an entry point.

        Raises:
            GraphValidationError: the pipes do not form a valid graph, or the strategy is unknown or
                cannot be made.
            PlanValidationError: the strategy made none, or one that breaks its own rules.
        """
        chosen = resolve_strategy(strategy)
        with collector_paused():
            graph = self.graph_builder.build_graph(pipe_ids)
            plan = chosen.plan(graph, tuple(graph.nodes))
            if not isinstance(plan, ExecutionPlan):
                problem = (
                    f"strategy {chosen.get_strategy_name()!r} returned {type(plan).__name__} "
                    "where a plan belongs\n  Fix: let its plan() return an ExecutionPlan."
                )
                raise PlanValidationError([problem])
            plan.validate()
        return plan

    def visualize_plan(self, plan: ExecutionPlan) -> str:
        """Return the plan as text; see :func:`kindling_airflow.plan_report.visualize_plan`."""
        return visualize_plan(plan)
