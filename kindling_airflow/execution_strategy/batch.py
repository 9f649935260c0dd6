"""Sources first: for finite data.

a -> b -> d        generation 0: a
a -> c -> d        generation 1: b c    both run as soon as a has
                   generation 2: d      after the later of the two
"""

from __future__ import annotations

from collections.abc import Sequence

from kindling_airflow.cache_optimizer import cache_metadata
from kindling_airflow.common.immutable import FrozenJson
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy.base import (
    BudgetedStrategy,
    check_members,
    numbered,
)
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.pipe_graph.structure import within

__all__ = ["BatchExecutionStrategy"]


class BatchExecutionStrategy(BudgetedStrategy):
    """Forward: every producer runs before its consumers. For finite data."""

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan in which each pipe runs as soon as all its producers have.

        Raises:
            GraphValidationError: a pipe is not in the graph, or an entity's ``size_bytes`` or the
                memory budget is not a number of bytes.
        """
        check_members(graph, pipe_ids)
        producers = within(graph.reverse_adjacency, pipe_ids)
        generations = numbered(graph.generations_of(pipe_ids), producers)
        recommended = cache_metadata(graph, pipe_ids, self.memory_budget_bytes)
        metadata = FrozenJson({"execution_order": "forward", **recommended})
        return self._planned(ExecutionPlan(tuple(pipe_ids), generations, graph, "batch", metadata))

    def get_strategy_name(self) -> str:
        """Return ``"batch"``."""
        return "batch"
