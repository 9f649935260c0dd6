"""What the declared inputs and outputs of pipes imply: edges, order, layers, and what forbids them.

The pure functions behind :mod:`kindling_airflow.pipe_graph`. Each takes time linear in pipes and
edges, recurses nowhere, and keeps the order in which it is given the pipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import networkx as nx

__all__ = ["PipeEdge", "Wiring", "cycle_text", "cycles", "grouped", "layers", "wire"]


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


@dataclass(frozen=True, slots=True)
class Wiring:
    """What follows from the inputs and outputs of some pipes; everything in their order.

    Attributes:
        edges: the data edges, by reading pipe, then by its inputs.
        successors: for each pipe, the pipes that read its output.
        predecessors: for each pipe, the pipes whose output it reads.
        writers: for each entity that is written, its first writer.
        readers: for each entity that is read, its readers.
        order: the pipes, producers first; those on or behind a cycle are missing.
        depths: for each pipe, the pipes on the longest chain that leads to it.
        problems: a text for each entity with more than one writer.
    """

    edges: tuple[PipeEdge, ...]
    successors: dict[str, tuple[str, ...]]
    predecessors: dict[str, tuple[str, ...]]
    writers: dict[str, str]
    readers: dict[str, tuple[str, ...]]
    order: tuple[str, ...]
    depths: dict[str, int]
    problems: tuple[str, ...]


def wire(nodes: Sequence[Node]) -> Wiring:
    """Return what follows from the inputs and outputs of these pipes.

    Pipes are numbers in here, and what touches an entity is looked up once per input: on a graph
    that is larger than the processor's caches each look-up by name costs more than all the rest.
    """
    names = [node.pipe_id for node in nodes]
    touching, problems = _written(nodes)
    writers = {
        entity: names[found[0]] for entity, found in touching.items() if found[0] is not None
    }
    edges: list[PipeEdge] = []
    predecessors: dict[str, tuple[str, ...]] = {}
    new, add = tuple.__new__, edges.append
    for number, node in enumerate(nodes):
        pipe_id, read = node.pipe_id, []
        for entity in node.input_entities:
            found = touching.get(entity)
            if found is None:
                found = touching[entity] = [None]
            elif found[-1] == number and len(found) > 1:
                continue  # named twice, as only a node that was made by hand can do
            found.append(number)
            producer = found[0]
            if producer is not None and producer != number:
                name = names[producer]
                add(new(PipeEdge, (name, pipe_id, entity)))
                read.append(name)
        predecessors[pipe_id] = tuple(read)
    readers = {
        entity: tuple([names[reader] for reader in found[1:]])
        for entity, found in touching.items()
        if len(found) > 1
    }
    successors = list(_successors(nodes, touching))
    order, depths = _topological_order(list(map(len, predecessors.values())), successors)
    return Wiring(
        tuple(edges),
        {
            # Nearly always these are the readers of what it writes: one tuple serves both.
            node.pipe_id: ()
            if not found
            else named
            if len(named := readers[node.output_entity or ""]) == len(found)
            else tuple([names[reader] for reader in found])
            for node, found in zip(nodes, successors, strict=True)
        },
        predecessors,
        writers,
        readers,
        tuple([names[number] for number in order]),
        dict(zip(names, depths, strict=True)),
        problems,
    )


def _written(nodes: Sequence[Node]) -> tuple[dict[str, list[Any]], tuple[str, ...]]:
    """Return, for each entity, a list that starts with its writer; its readers go behind."""
    touching: dict[str, list[Any]] = {}
    doubled: dict[str, list[str]] = {}
    for number, node in enumerate(nodes):
        entity = node.output_entity
        if entity is None:
            continue
        found = touching.setdefault(entity, [number])
        if found[0] != number:
            first = nodes[found[0]].pipe_id
            doubled.setdefault(entity, [first]).append(node.pipe_id)
    problems = tuple(
        f"entity {entity!r} is written by more than one pipe: {', '.join(map(repr, pipes))}\n"
        "  Fix: let each pipe write an entity of its own, and join them in a further pipe."
        for entity, pipes in doubled.items()
    )
    return touching, problems


def _successors(nodes: Iterable[Node], touching: Mapping[str, list[Any]]) -> Iterator[list[int]]:
    """Yield, for each pipe, those that read what it writes; none if it is not the first writer."""
    for number, node in enumerate(nodes):
        nothing: list[Any] = [None]
        found = touching[node.output_entity] if node.output_entity is not None else nothing
        readers = found[1:] if found[0] == number else []
        yield [reader for reader in readers if reader != number] if number in readers else readers


def _topological_order(
    waiting: list[int], successors: Sequence[Sequence[int]]
) -> tuple[list[int], list[int]]:
    """Return the pipes, producers first, and the depth of each.

    Those on or behind a cycle are missing in the order.

    Source: A. B. Kahn, "Topological sorting of large networks", CACM 5 (1962).

    Args:
        waiting: how many producers each pipe has; used up.
        successors: the pipes that read from each.
    """
    depths = [0] * len(waiting)
    order = [number for number, count in enumerate(waiting) if not count]
    for number in order:  # grows while it is walked
        below = depths[number] + 1
        for successor in successors[number]:
            waiting[successor] = left = waiting[successor] - 1
            if depths[successor] < below:  # noqa: PLR1730 (a call costs more than all the rest)
                depths[successor] = below
            if not left:
                order.append(successor)
    return order, depths


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
    return grouped(pipe_ids, numbers)


def grouped(pipe_ids: Iterable[str], numbers: Mapping[str, int]) -> list[list[str]]:
    """Return the pipes by their number, from 0 on, each group in the order given."""
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
