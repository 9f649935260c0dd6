r"""The longest way through a plan: what the end of a run waits for.

        b (10)              remaining: the longest way from a pipe to an end, the pipe included
       /      \                 a 16, b 15, c 7, d 5
  a (1)        d (5)        until: the longest way from a beginning to a pipe, the pipe included
       \      /                 a 1, b 11, c 3, d 16
        c (2)               critical path: a b d, 16 seconds

``remaining`` is the "b-level" of list scheduling (T. L. Adam, K. M. Chandy and J. R. Dickson, CACM
17, 1974), and the priority by which narrow pools are filled. Everything takes time linear in pipes
and edges; ways are counted in whole numbers, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.durations import positive_seconds
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.pipe_graph.structure import Neighbours, within
from kindling_airflow.tags.names import DURATION_TAG

__all__ = [
    "DataFlow",
    "critical_path",
    "data_flow",
    "duration_hint",
    "flow_within",
    "is_forward",
    "path_through",
]


def duration_hint(tags: Mapping[str, Any]) -> float | None:
    """Return a pipe's ``duration_hint`` in seconds (default 1), or None where it makes no sense."""
    return positive_seconds(tags.get(DURATION_TAG, 1.0))


def is_forward(plan: ExecutionPlan) -> bool:
    """Return whether every pipe of the plan comes after the pipes that it reads from.

    Only then does a run end when its pipes do. A hybrid plan is one if it has no streams; a
    strategy that commits to no order is judged by the plan that it made.
    """
    direction = plan.direction()
    if direction == "hybrid":
        return not plan.metadata.get("streaming_pipes")
    if direction is not None:
        return direction == "forward"
    number_of = plan.find_pipe_generation
    for edge in plan.graph.edges:
        producer, consumer = number_of(edge.from_pipe), number_of(edge.to_pipe)
        if producer is not None and consumer is not None and producer >= consumer:
            return False
    return True


@dataclass(frozen=True, slots=True)
class DataFlow:
    """The data flow among the pipes of a plan.

    Attributes:
        order: the pipes, producers first.
        producers: for each pipe, those that it reads from.
        consumers: for each pipe, those that read from it.
    """

    order: tuple[str, ...]
    producers: Neighbours
    consumers: Neighbours

    def remaining(self, weights: Mapping[str, int]) -> dict[str, int]:
        """Return for each pipe the longest way from it to an end, the pipe included."""
        return _longest(reversed(self.order), self.consumers, weights)

    def until(self, weights: Mapping[str, int]) -> dict[str, int]:
        """Return for each pipe the longest way from a beginning to it, the pipe included."""
        return _longest(self.order, self.producers, weights)


def data_flow(plan: ExecutionPlan) -> DataFlow:
    """Return the data flow of a plan; pipes of its graph that are not in the plan are left out."""
    return flow_within(plan.graph, plan.pipe_ids)


def flow_within(graph: PipeGraph, pipe_ids: Sequence[str]) -> DataFlow:
    """Return the data flow among some pipes of a graph."""
    order, members = graph.topological_order, set(pipe_ids)
    if len(members) < len(order):
        order = tuple([pipe_id for pipe_id in order if pipe_id in members])
    return DataFlow(
        order, within(graph.reverse_adjacency, pipe_ids), within(graph.adjacency, pipe_ids)
    )


def critical_path(flow: DataFlow, remaining: Mapping[str, int]) -> tuple[str, ...]:
    """Return the longest way through a plan; of equally long ones, the one that is named first.

    Args:
        flow: the data flow.
        remaining: of the same flow, for positive weights.
    """
    return tuple(_steepest(flow.order, flow.consumers, remaining))


def path_through(
    flow: DataFlow, pipe_id: str, until: Mapping[str, int], remaining: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the longest way through a plan that a pipe is on."""
    before = list(_steepest(flow.producers[pipe_id], flow.producers, until))
    behind = _steepest(flow.consumers[pipe_id], flow.consumers, remaining)
    return (*reversed(before), pipe_id, *behind)


def _steepest(
    choice: tuple[str, ...], following: Neighbours, height: Mapping[str, int]
) -> Iterator[str]:
    while choice:
        chosen = max(choice, key=height.__getitem__)
        yield chosen
        choice = following[chosen]


def _longest(
    order: Iterable[str], behind: Neighbours, weights: Mapping[str, int]
) -> dict[str, int]:
    found: dict[str, int] = {}
    length_of = found.__getitem__
    for pipe_id in order:
        before = behind[pipe_id]
        length = weights[pipe_id]
        found[pipe_id] = length + max(map(length_of, before)) if before else length
    return found
