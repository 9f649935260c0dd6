"""The batch order, in which urgent pipes come first wherever the dependencies allow.

    a -> b -> urgent        batch order     priority order
    c -> d                  0: a c          0: a        (9, for the sake of urgent)
                            1: b d          1: c        (0)
    urgent has priority 9   2: urgent       2: b        (9)
                                            3: d        (0)
                                            4: urgent   (9)

What an urgent pipe waits for is as urgent as the pipe itself, or it would be held up by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from kindling_airflow.cache_optimizer import cache_metadata
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import flow_within
from kindling_airflow.execution_strategy.base import BudgetedStrategy, check_members, numbered
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.tags.names import PRIORITY_TAG
from kindling_airflow.tags.registry import tag_row

__all__ = ["PriorityExecutionStrategy", "priority_problems"]


class PriorityExecutionStrategy(BudgetedStrategy):
    """Forward, as batch; each generation is split by priority, the most urgent pipes first.

    The tag ``priority`` is a number, by default 0; larger is more urgent. A pipe counts as urgent
    as the most urgent pipe of the plan that depends on it, directly or not.
    """

    def plan(self, graph: PipeGraph, pipe_ids: Sequence[str]) -> ExecutionPlan:
        """Return the batch plan with its generations split by priority.

        The metadata has the priorities that occur (``priority_levels``, the most urgent first) and
        that of each generation (``generation_priorities``), inherited ones included.

        Raises:
            GraphValidationError: as under batch, or a ``priority`` is not a finite number; lists
                every such pipe.
        """
        check_members(graph, pipe_ids)
        own = _priorities(graph, pipe_ids)
        flow = flow_within(graph, pipe_ids)
        urgency: dict[str, float] = {}  # the largest priority of a pipe and of all behind it
        for pipe_id in reversed(flow.order):
            urgency[pipe_id] = max(
                [own[pipe_id], *map(urgency.__getitem__, flow.consumers[pipe_id])]
            )
        columns = [
            list(column)
            for layer in graph.generations_of(pipe_ids)
            for _, column in groupby(
                sorted(layer, key=urgency.__getitem__, reverse=True), urgency.__getitem__
            )
        ]
        metadata = {
            "execution_order": "forward",
            "priority_levels": sorted(set(urgency.values()), reverse=True),
            "generation_priorities": [urgency[column[0]] for column in columns],
            **cache_metadata(graph, pipe_ids, self.memory_budget_bytes),
        }
        generations = numbered(columns, flow.producers)
        return self._planned(
            ExecutionPlan(tuple(pipe_ids), generations, graph, "priority", metadata)
        )

    def get_strategy_name(self) -> str:
        """Return ``"priority"``."""
        return "priority"


def _priorities(graph: PipeGraph, pipe_ids: Iterable[str]) -> dict[str, float]:
    own = {pipe_id: graph.nodes[pipe_id].tags.get(PRIORITY_TAG, 0) for pipe_id in pipe_ids}
    problems = list(priority_problems(own))
    if problems:
        raise GraphValidationError(problems)
    return own


def priority_problems(priorities: Mapping[str, object]) -> Iterator[str]:
    """Yield a problem for each tag ``priority``, by pipe, that is not a finite number."""
    fits = tag_row("pipe", PRIORITY_TAG).value.fits
    for pipe_id, priority in priorities.items():
        if fits is not None and not fits(priority):
            yield (
                f"pipe {pipe_id!r}: tag priority must be a finite number, not {priority!r}\n"
                "  Fix: correct the tag, or leave it out for 0; larger is more urgent."
            )
