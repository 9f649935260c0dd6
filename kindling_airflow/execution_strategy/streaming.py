"""Sinks first: for endless data.

a -> b -> d        generation 0: d      ready before b and c send rows
a -> c -> d        generation 1: b c
                   generation 2: a
"""

from __future__ import annotations

from collections.abc import Sequence

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy.base import ExecutionStrategy, check_members, numbered
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.pipe_graph.structure import within

__all__ = ["StreamingExecutionStrategy"]


class StreamingExecutionStrategy(ExecutionStrategy):
    """Reverse: every consumer stands ready before its producers start. For endless data."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan in which each pipe starts as soon as all its consumers have.

        Raises:
            GraphValidationError: a pipe is not in the graph.
        """
        check_members(graph, pipe_ids)
        columns = graph.generations_of(pipe_ids, reverse=True)
        generations = numbered(columns, within(graph.adjacency, pipe_ids))
        metadata = {
            "execution_order": "reverse",
            "checkpoint_order": "downstream_first",
            "cache_recommendations": [],  # each query reads its source for itself
        }
        return self._planned(
            ExecutionPlan(tuple(pipe_ids), generations, graph, "streaming", metadata)
        )

    def get_strategy_name(self) -> str:
        """Return ``"streaming"``."""
        return "streaming"
