"""The strategies that turn a dependency graph into an ordered plan.

    a -> b -> d        batch (sources to sinks)        streaming (sinks to sources)
    a -> c -> d        0: a   1: b c   2: d            0: d   1: b c   2: a

Both put each pipe into the earliest generation that its rule allows: under batch a pipe comes one
generation after the last of its producers, under streaming one after the last of its consumers.
A generation's pipes are in the order requested. The strategies themselves, these two and three
more, are in :mod:`kindling_airflow.strategies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.execution_plan import ExecutionPlan, Generation, PlanValidationError
from kindling_airflow.execution_plan.text import visualize_plan
from kindling_airflow.execution_strategy.base import ExecutionStrategy
from kindling_airflow.execution_strategy.batch import BatchExecutionStrategy
from kindling_airflow.execution_strategy.config_based import ConfigBasedExecutionStrategy
from kindling_airflow.execution_strategy.hybrid import HybridExecutionStrategy
from kindling_airflow.execution_strategy.priority import PriorityExecutionStrategy
from kindling_airflow.execution_strategy.registry import resolve_strategy, strategy_by_name
from kindling_airflow.execution_strategy.streaming import StreamingExecutionStrategy
from kindling_airflow.pipe_graph import PipeGraphBuilder, PipeSource

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
        logger_provider: anything with ``get_logger(name)``; optional. Strategies log through it.

    Attributes:
        batch_strategy, streaming_strategy, config_based_strategy: the strategies of the methods
            that are named after them; replace one to change what its method makes.
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
        self.batch_strategy: ExecutionStrategy = BatchExecutionStrategy(logger_provider)
        self.streaming_strategy: ExecutionStrategy = StreamingExecutionStrategy(logger_provider)
        self.config_based_strategy: ExecutionStrategy = ConfigBasedExecutionStrategy(
            logger_provider
        )

    def generate_batch_plan(self, pipe_ids: Sequence[str] | None = None) -> ExecutionPlan:
        """Return the validated batch plan of these pipes (default: all that are declared)."""
        return self.generate_plan(pipe_ids, self.batch_strategy)

    def generate_streaming_plan(self, pipe_ids: Sequence[str] | None = None) -> ExecutionPlan:
        """Return the validated streaming plan of these pipes (default: all that are declared)."""
        return self.generate_plan(pipe_ids, self.streaming_strategy)

    def generate_config_based_plan(self, pipe_ids: Sequence[str] | None = None) -> ExecutionPlan:
        """Return the validated plan in the order that the pipes' ``processing_mode`` tags request.

        See :class:`ConfigBasedExecutionStrategy`; by default all pipes that are declared.
        """
        return self.generate_plan(pipe_ids, self.config_based_strategy)

    def generate_plan(
        self,
        pipe_ids: Sequence[str] | None = None,
        strategy: ExecutionStrategy | type[ExecutionStrategy] | str | None = None,
    ) -> ExecutionPlan:
        """Return the validated plan of these pipes under a strategy.

        Args:
            pipe_ids: the pipes, in the order that they are to have in their generations; None
                for all that are declared.
            strategy: an object, a class, or the name of a built-in strategy or of an entry point;
                None for :attr:`batch_strategy`.

        Raises:
            GraphValidationError: the pipes do not form a valid graph, or the strategy is unknown or
                cannot be made.
            PlanValidationError: the strategy made none, or one that breaks its own rules.
        """
        wanted = self.batch_strategy if strategy is None else strategy
        chosen = resolve_strategy(wanted, self.logger_provider)
        with collector_paused():
            graph = self.graph_builder.build_graph(pipe_ids)
            plan = chosen.plan(graph, tuple(graph.nodes))
            if not isinstance(plan, ExecutionPlan):
                problem = (
                    f"strategy {chosen.get_strategy_name()!r} returned {type(plan).__name__} "
                    "instead of a plan\n  Fix: return an ExecutionPlan from its plan()."
                )
                raise PlanValidationError([problem])
            plan.validate()
        return plan

    def visualize_plan(self, plan: ExecutionPlan) -> str:
        """Return the plan as text; see :mod:`kindling_airflow.execution_plan.text`."""
        return visualize_plan(plan)
