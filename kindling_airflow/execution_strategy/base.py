"""The interface of a strategy, and the steps that the built-in ones share."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from kindling_airflow.data_entities import list_problems
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.pipe_graph.structure import Neighbours

__all__ = ["BudgetedStrategy", "ExecutionStrategy", "check_members", "numbered"]


class ExecutionStrategy(ABC):
    """The order in which the pipes of a graph run. Subclass it for a custom order.

    Args:
        logger_provider: anything with ``get_logger(name)``; by default the standard logging.

    Attributes:
        logger_provider: the same.
    """

    def __init__(self, logger_provider: Any = None) -> None:
        self.logger_provider = logger_provider

    @cached_property
    def logger(self) -> Any:
        """The provider's logger of the class's name, or the standard library's."""
        name = type(self).__name__
        provider = getattr(self, "logger_provider", None)
        if provider is None:
            return logging.getLogger(f"{__package__}.{name}")
        return provider.get_logger(name)

    def _planned(self, plan: ExecutionPlan) -> ExecutionPlan:
        """Log a plan's figures if there is a logger provider; return the plan.

        Without a provider nothing is logged: Airflow plans whenever it parses a DAG file.
        """
        if hasattr(self.logger_provider, "get_logger") and hasattr(self.logger, "info"):
            self.logger.info(
                f"{plan.strategy} plan: {plan.total_pipes()} pipes in {plan.total_generations()} "
                f"generations, at most {plan.max_parallelism()} side by side"
            )
        return plan

    @abstractmethod
    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the plan for these pipes of the graph."""

    @abstractmethod
    def get_strategy_name(self) -> str:
        """Return the name that plans of this strategy carry."""


class BudgetedStrategy(ExecutionStrategy):
    """A strategy whose plans recommend what to cache.

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


def check_members(graph: PipeGraph, pipe_ids: Sequence[str]) -> None:
    """Check that pipes are in a graph.

    Raises:
        GraphValidationError: a pipe is not in the graph, or ``pipe_ids`` is a string.
    """
    if isinstance(pipe_ids, str):
        raise GraphValidationError(list_problems("pipe_ids", pipe_ids))
    unknown = set(pipe_ids) - graph.nodes.keys()
    if unknown:
        raise GraphValidationError(
            f"pipe {p!r} is not in the graph\n  Fix: build the graph with all pipes of the plan."
            for p in unknown
        )


def numbered(columns: Iterable[Sequence[str]], waits_for: Neighbours) -> tuple[Generation, ...]:
    """Return columns of pipes as generations, each with what its pipes wait for, named once."""
    return tuple(
        [
            Generation(number, tuple(column), _named_once(column, waits_for))
            for number, column in enumerate(columns)
        ]
    )


def _named_once(column: Sequence[str], waits_for: Neighbours) -> tuple[str, ...]:
    if len(column) == 1:
        return waits_for[column[0]]
    return tuple(dict.fromkeys(chain.from_iterable(map(waits_for.__getitem__, column))))
