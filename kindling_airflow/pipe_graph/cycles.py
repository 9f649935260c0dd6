"""Edges between pipes: the layers that they allow, and the cycles that forbid them.

The pure functions behind :mod:`kindling_airflow.pipe_graph`. Each takes time linear in pipes and
edges, recurses nowhere, and keeps the order in which it is given the pipes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from kindling_airflow.errors import shortened

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["PipeEdge", "cycle_text", "cycles", "grouped", "layers"]


T = TypeVar("T")


class PipeEdge(NamedTuple):
    """``to_pipe`` reads ``entity``, which ``from_pipe`` writes.

    A named tuple, because a graph has many: a tuple of strings is made in one step, and is no
    business of the garbage collector.
    """

    from_pipe: str
    to_pipe: str
    entity: str


def layers(
    pipe_ids: Iterable[str],
    order: Iterable[str],
    waits_for: Mapping[str, tuple[str, ...]],
) -> list[list[str]]:
    """Return the pipes by layer: each is in the first layer after all that it waits for.

    Args:
        pipe_ids: the pipes, in the order in which they stand in a layer.
        order: the same pipes, each after those that it waits for.
        waits_for: what each pipe waits for, among these pipes.
    """
    numbers: dict[str, int] = {}
    number_of = numbers.__getitem__
    for pipe_id in order:
        waited = waits_for[pipe_id]
        numbers[pipe_id] = 1 + max(map(number_of, waited)) if waited else 0
    return grouped(pipe_ids, number_of, 1 + max(numbers.values(), default=-1))


def grouped(items: Iterable[T], number_of: Callable[[T], int], count: int) -> list[list[T]]:
    """Return things by their number (below ``count``), each group in the order given."""
    columns: list[list[T]] = [[] for _ in range(count)]
    for item in items:
        columns[number_of(item)].append(item)
    return columns


def cycles(pipe_ids: Iterable[str], edges: Iterable[PipeEdge]) -> Iterator[list[str]]:
    """Yield one cycle of each knot (strongly connected component), from its smallest id on.

    The first id is repeated at the end.
    """
    import networkx as nx  # half of what a worker imports before a task; only for broken graphs

    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(pipe_ids)
    digraph.add_edges_from((edge.from_pipe, edge.to_pipe) for edge in edges)
    knots = [sorted(c) for c in nx.strongly_connected_components(digraph) if len(c) > 1]
    for knot in sorted(knots):
        members = set(knot)
        ordered: nx.DiGraph[str] = nx.DiGraph()
        ordered.add_nodes_from(knot)
        ordered.add_edges_from((a, b) for a in knot for b in sorted(digraph[a]) if b in members)
        path = [edge[0] for edge in nx.find_cycle(ordered, source=knot[0])]
        start = path.index(min(path))
        turned = path[start:] + path[:start]
        yield [*turned, turned[0]]


def cycle_text(cycle: Sequence[str], edges: Iterable[PipeEdge]) -> str:
    """Return a cycle as an error text: arrow by arrow, with the entity on each.

    Of a long cycle only its start and its end.
    """
    entities: dict[tuple[str, str], str] = {}
    for writer, reader, entity in edges:
        entities.setdefault((writer, reader), entity)
    reads = [
        f"{reader!r} reads entity {entities[writer, reader]!r}, written by {writer!r}"
        for writer, reader in pairwise(cycle)
    ]
    return "\n  ".join(
        [
            f"Pipes form a cycle: {' -> '.join(shortened([*map(repr, cycle)]))}",
            *shortened(reads),
            "Fix: remove one of these inputs, or split the pipe that reads its own result.",
        ]
    )
