"""WHEN: the strategies that turn a dependency graph into an ordered plan.

    a -> b -> d        batch (sources to sinks)        streaming (sinks to sources)
    a -> c -> d        0: a   1: b c   2: d            0: d   1: b c   2: a

Both put each pipe into the earliest generation that its rule allows: under batch a pipe comes one
generation after the last of its producers, under streaming one after the last of its consumers.
A generation's pipes stand in the order in which they were asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from kindling_airflow.bulk import collector_paused
from kindling_airflow.data_entities import list_problems
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation, PlanValidationError
from kindling_airflow.graph_rules import layers
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder, PipeSource
from kindling_airflow.plan_report import visualize_plan

__all__ = [
    "BatchExecutionStrategy",
    "ExecutionPlan",
    "ExecutionPlanGenerator",
    "ExecutionStrategy",
    "Generation",
    "PlanValidationError",
    "StreamingExecutionStrategy",
    "strategy_by_name",
]


class ExecutionStrategy(ABC):
    """The order in which the pipes of a graph run. Subclass it for an order of your own.

    Args:
        logger_provider: anything with ``get_logger(name)``; optional, kept as ``logger_provider``.
    """

    def __init__(self, logger_provider: Any = None) -> None:
        self.logger_provider = logger_provider

    @abstractmethod
    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan for these pipes of the graph."""

    @abstractmethod
    def get_strategy_name(self) -> str:
        """Return the name that plans of this strategy carry."""


class BatchExecutionStrategy(ExecutionStrategy):
    """Forward: every producer runs before its consumers. For finite data."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan in which each pipe runs as soon as all its producers have."""
        generations = _generations(
            graph, pipe_ids, graph.topological_order, graph.reverse_adjacency
        )
        metadata = {"execution_order": "forward"}
        return ExecutionPlan(tuple(pipe_ids), generations, graph, "batch", metadata)

    def get_strategy_name(self) -> str:
        """Return ``"batch"``."""
        return "batch"


class StreamingExecutionStrategy(ExecutionStrategy):
    """Reverse: every consumer stands ready before its producers start. For endless data."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan in which each pipe starts as soon as all its consumers have."""
        generations = _generations(
            graph, pipe_ids, reversed(graph.topological_order), graph.adjacency
        )
        metadata = {"execution_order": "reverse", "checkpoint_order": "downstream_first"}
        return ExecutionPlan(tuple(pipe_ids), generations, graph, "streaming", metadata)

    def get_strategy_name(self) -> str:
        """Return ``"streaming"``."""
        return "streaming"


def _generations(
    graph: PipeGraph,
    pipe_ids: Sequence[str],
    order: Iterable[str],
    neighbours: Mapping[str, tuple[str, ...]],
) -> tuple[Generation, ...]:
    """Return the generations: each pipe in the first one after all that it waits for.

    Args:
        graph: the graph; it may hold more than the plan.
        pipe_ids: the pipes of the plan.
        order: the graph's pipes, each after those that it waits for.
        neighbours: what each pipe of the graph waits for.

    Raises:
        GraphValidationError: a pipe is not in the graph, or ``pipe_ids`` is a string.
    """
    members = _members(graph, pipe_ids)
    if len(members) < len(graph.nodes):
        neighbours = {p: tuple(n for n in neighbours[p] if n in members) for p in members}
        order = (pipe_id for pipe_id in order if pipe_id in members)
    columns = layers(pipe_ids, order, neighbours)
    return tuple(
        Generation(
            number,
            tuple(column),
            tuple(dict.fromkeys(chain.from_iterable(map(neighbours.__getitem__, column)))),
        )
        for number, column in enumerate(columns)
    )


def _members(graph: PipeGraph, pipe_ids: Sequence[str]) -> set[str]:
    if isinstance(pipe_ids, str):
        raise GraphValidationError(list_problems("pipe_ids", pipe_ids))
    members = set(pipe_ids)
    unknown = members - graph.nodes.keys()
    if unknown:
        raise GraphValidationError(
            f"pipe {p!r} is not in the graph\n  Fix: build the graph with all pipes of the plan."
            for p in unknown
        )
    return members


_BUILT_IN: Mapping[str, type[ExecutionStrategy]] = {
    "batch": BatchExecutionStrategy,
    "streaming": StreamingExecutionStrategy,
}


def strategy_by_name(name: str) -> ExecutionStrategy:
    """Return a built-in strategy by its name.

    Raises:
        GraphValidationError: there is none of this name; the message lists those there are.
    """
    if name not in _BUILT_IN:
        known = ", ".join(map(repr, _BUILT_IN))
        raise GraphValidationError([f"unknown strategy {name!r}\n  Fix: use one of {known}."])
    return _BUILT_IN[name]()


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

    def generate_plan(
        self, pipe_ids: Sequence[str] | None, strategy: ExecutionStrategy | str
    ) -> ExecutionPlan:
        """Return the validated plan of these pipes under a strategy, given as object or by name.

        Raises:
            GraphValidationError: the pipes do not form a valid graph, or the strategy is unknown.
            PlanValidationError: the strategy made none, or one that breaks its own rules.
        """
        chosen = strategy_by_name(strategy) if isinstance(strategy, str) else strategy
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
