"""What the declared inputs and outputs of pipes imply: edges, order, layers, and what forbids them.

The pure functions behind :mod:`kindling_airflow.pipe_graph`. Each takes time linear in pipes and
edges, recurses nowhere, and keeps the order in which it is given the pipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

import networkx as nx

__all__ = [
    "PipeEdge",
    "connect",
    "cycle_text",
    "cycles",
    "layers",
    "named_once",
    "neighbours",
    "producers",
    "topological_order",
]

Neighbours = Mapping[str, tuple[str, ...]]


class PipeEdge(NamedTuple):
    """``to_pipe`` reads ``entity``, which ``from_pipe`` writes.

    A named tuple, because a graph has many: a tuple of strings is made in one step, and is no
    business of the garbage collector.
    """

    from_pipe: str
    to_pipe: str
    entity: str


class Node(Protocol):
    """What the rules look at."""

    @property
    def pipe_id(self) -> str:
        """The pipe's id."""
        ...

    @property
    def input_entities(self) -> tuple[str, ...]:
        """What it reads."""
        ...

    @property
    def output_entity(self) -> str | None:
        """What it writes."""
        ...


def producers(nodes: Iterable[Node]) -> tuple[dict[str, str], list[str]]:
    """Return the writer of each entity, and a problem for each entity with more than one."""
    writers: dict[str, str] = {}
    doubled: dict[str, list[str]] = {}
    for node in nodes:
        if node.output_entity is None:
            continue
        first = writers.setdefault(node.output_entity, node.pipe_id)
        if first != node.pipe_id:
            doubled.setdefault(node.output_entity, [first]).append(node.pipe_id)
    problems = [
        f"entity {entity!r} is written by more than one pipe: {', '.join(map(repr, pipes))}\n"
        "  Fix: let each pipe write an entity of its own, and join them in a further pipe."
        for entity, pipes in doubled.items()
    ]
    return writers, problems


def connect(nodes: Iterable[Node], writers: Mapping[str, str]) -> list[PipeEdge]:
    """Return the data edges, by reading pipe, then by its inputs."""
    edges = []
    for node in nodes:
        pipe_id = node.pipe_id
        for entity in node.input_entities:
            producer = writers.get(entity)
            if producer is not None and producer != pipe_id:
                edges.append(PipeEdge(producer, pipe_id, entity))
    return edges


def neighbours(
    pipe_ids: Iterable[str], edges: Iterable[PipeEdge]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Return the successors and the predecessors of each pipe, each named once."""
    successors: dict[str, list[str]] = {pipe_id: [] for pipe_id in pipe_ids}
    predecessors: dict[str, list[str]] = {pipe_id: [] for pipe_id in successors}
    for from_pipe, to_pipe, _ in edges:
        successors[from_pipe].append(to_pipe)
        predecessors[to_pipe].append(from_pipe)
    return named_once(successors), named_once(predecessors)


def named_once(lists: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return lists as tuples without repetitions, in the order of first mention."""
    return {
        key: tuple(dict.fromkeys(items)) if len(items) > 1 else tuple(items)
        for key, items in lists.items()
    }


def topological_order(predecessors: Neighbours, successors: Neighbours) -> list[str]:
    """Return the pipes, producers first; those on or behind a cycle are missing.

    Source: A. B. Kahn, "Topological sorting of large networks", CACM 5 (1962).
    """
    waiting = {pipe_id: len(found) for pipe_id, found in predecessors.items()}
    order = [pipe_id for pipe_id, count in waiting.items() if not count]
    for pipe_id in order:  # grows while it is walked
        for successor in successors[pipe_id]:
            waiting[successor] -= 1
            if not waiting[successor]:
                order.append(successor)
    return order


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
    for pipe_id in order:
        waited = waits_for[pipe_id]
        numbers[pipe_id] = 1 + max([numbers[p] for p in waited]) if waited else 0
    columns: list[list[str]] = [[] for _ in range(1 + max(numbers.values(), default=-1))]
    for pipe_id in pipe_ids:
        columns[numbers[pipe_id]].append(pipe_id)
    return columns


def cycles(pipe_ids: Iterable[str], edges: Iterable[PipeEdge]) -> Iterator[list[str]]:
    """Yield one cycle of each knot (strongly connected component), from its smallest id on.

    The first id is repeated at the end.
    """
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
    """Return a cycle as an error text: arrow by arrow, with the entity on each."""
    entities: dict[tuple[str, str], str] = {}
    for writer, reader, entity in edges:
        entities.setdefault((writer, reader), entity)
    lines = [f"Pipes form a cycle: {' -> '.join(map(repr, cycle))}"]
    for pair in pairwise(cycle):
        writer, reader = pair
        lines.append(f"  {reader!r} reads entity {entities[pair]!r}, written by {writer!r}")
    lines.append("  Fix: remove one of these inputs, or split the pipe that reads its own result.")
    return "\n".join(lines)
