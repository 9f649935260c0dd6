"""What a strategy is, and the steps that the built-in ones share.

    order and neighbours of the graph  -> within    -> those of the plan's pipes alone
    order and what waits for what      -> layers    -> columns of pipes
    columns and what waits for what    -> numbered  -> generations

Each step takes time linear in pipes and edges, and none recurses.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

from kindling_airflow.data_entities import list_problems
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.pipe_graph import PipeGraph

__all__ = ["ExecutionStrategy", "Neighbours", "members_of", "numbered", "within"]

Neighbours = Mapping[str, tuple[str, ...]]


class ExecutionStrategy(ABC):
    """The order in which the pipes of a graph run. Subclass it for an order of your own.

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
        """Tell the provider's logger, if there is one, what has been planned, and return it.

        Without a provider nothing is said: an Airflow process plans at every parse of its files.
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


def members_of(graph: PipeGraph, pipe_ids: Sequence[str]) -> set[str]:
    """Return the pipes of a plan as a set.

    Raises:
        GraphValidationError: a pipe is not in the graph, or ``pipe_ids`` is a string.
    """
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


def within(
    members: set[str], order: Iterable[str], neighbours: Neighbours
) -> tuple[Iterable[str], Neighbours]:
    """Return an order of pipes and their neighbours as if there were no pipes but the members.

    Args:
        members: the pipes of the plan; all of them have neighbours, if only none.
        order: the pipes of a graph.
        neighbours: the neighbours of each pipe of the graph.
    """
    if len(members) == len(neighbours):
        return order, neighbours
    inner = {p: tuple(n for n in neighbours[p] if n in members) for p in members}
    return (pipe_id for pipe_id in order if pipe_id in members), inner


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
