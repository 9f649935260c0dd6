"""Sources first: for finite data.

a -> b -> d        generation 0: a
a -> c -> d        generation 1: b c    both run as soon as a has
                   generation 2: d      after the later of the two
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from kindling_airflow.cache_optimizer import cache_metadata
from kindling_airflow.common.frozen import FrozenJson
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy.base import ExecutionStrategy, members_of, numbered, within
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.pipe_graph.cycles import layers

__all__ = ["BatchExecutionStrategy"]


class BatchExecutionStrategy(ExecutionStrategy):
    """Forward: every producer runs before its consumers. For finite data.

    Args:
        logger_provider: see :class:`ExecutionStrategy`.
        memory_budget_bytes: the memory for entities that several pipes read, or None where it is
            not known; see :func:`kindling_airflow.cache_optimizer.recommend_cache`.
    """

    def __init__(
        self, logger_provider: Any = None, *, memory_budget_bytes: int | None = None
    ) -> None:
        super().__init__(logger_provider)
        self.memory_budget_bytes = memory_budget_bytes

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan in which each pipe runs as soon as all its producers have.

        Raises:
            GraphValidationError: a pipe is not in the graph, or an entity's ``size_bytes`` or the
                memory budget is no number of bytes.
        """
        generations = _generations(graph, pipe_ids)
        recommended = cache_metadata(graph, pipe_ids, self.memory_budget_bytes)
        metadata = FrozenJson({"execution_order": "forward", **recommended})
        return self._planned(ExecutionPlan(tuple(pipe_ids), generations, graph, "batch", metadata))

    def get_strategy_name(self) -> str:
        """Return ``"batch"``."""
        return "batch"


def _generations(graph: PipeGraph, pipe_ids: Sequence[str]) -> tuple[Generation, ...]:
    wiring = graph.wiring
    if not wiring.is_all(pipe_ids):
        members = members_of(graph, pipe_ids)
        order, producers = within(members, graph.topological_order, graph.reverse_adjacency)
        return numbered(layers(pipe_ids, order, producers), producers)
    producers_of = wiring.producers.__getitem__
    waits_for = (dict.fromkeys(chain.from_iterable(map(producers_of, c))) for c in wiring.layers)
    return tuple(
        [
            Generation(number, wiring.named(column), wiring.named(awaited))
            for number, (column, awaited) in enumerate(zip(wiring.layers, waits_for, strict=True))
        ]
    )
