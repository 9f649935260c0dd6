"""Nodes and edges of a graph of pipes, and the networkx graph that is built from them.

pipe      a          b <- a.out     c <- a.out b.out
writers   a.out: a   b.out: b       c.out: c
producers a: ()      b: (a)         c: (a, b)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kindling_airflow.common.frozen import EMPTY, FrozenDict
from kindling_airflow.data_pipes import PipeMetadata

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "Neighbours",
    "PipeEdge",
    "PipeNode",
    "digraph_of",
    "edges_of",
    "producers_of",
    "within",
    "writer_problems",
    "writers_of",
]

Neighbours = Mapping[str, tuple[str, ...]]


class PipeNode(NamedTuple):
    """A pipe in a graph; nodes are equal if they have the same pipe id.

    Graphs are compared by the content of their nodes.
    """

    pipe_id: str
    input_entities: tuple[str, ...] = ()
    output_entity: str | None = None
    metadata: PipeMetadata | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether the other object is a node of the same pipe."""
        return isinstance(other, PipeNode) and self.pipe_id == other.pipe_id

    def __ne__(self, other: object) -> bool:
        """Return whether the other object is not a node of the same pipe."""
        return not self == other

    def __hash__(self) -> int:
        """Return the hash of the pipe's id."""
        return hash(self.pipe_id)

    @property
    def tags(self) -> Mapping[str, Any]:
        """The pipe's tags; empty where the node has no declaration."""
        return self.metadata.tags if self.metadata is not None else EMPTY


class PipeEdge(NamedTuple):
    """``to_pipe`` reads ``entity``, which ``from_pipe`` writes."""

    from_pipe: str
    to_pipe: str
    entity: str


def writers_of(nodes: Mapping[str, PipeNode]) -> dict[str, str]:
    """Return the first writer of each entity that is written."""
    writers: dict[str, str] = {}
    for pipe_id, node in nodes.items():
        if node.output_entity is not None:
            writers.setdefault(node.output_entity, pipe_id)
    return writers


def writer_problems(nodes: Mapping[str, PipeNode], writers: Mapping[str, str]) -> list[str]:
    """Return a problem for each entity that more than one pipe writes."""
    doubled: dict[str, list[str]] = {}
    for pipe_id, node in nodes.items():
        entity = node.output_entity
        if entity is not None and writers[entity] != pipe_id:
            doubled.setdefault(entity, [writers[entity]]).append(pipe_id)
    return [
        f"entity {entity!r} is written by more than one pipe: {', '.join(map(repr, pipes))}\n"
        "  Fix: let each pipe write its own entity, and join them in another pipe."
        for entity, pipes in doubled.items()
    ]


def producers_of(nodes: Mapping[str, PipeNode], writers: Mapping[str, str]) -> FrozenDict:
    """Return for each pipe the others whose output it reads, in the order of its inputs."""
    producers: dict[str, tuple[str, ...]] = {}
    writer_of = writers.get
    for pipe_id, node in nodes.items():
        found = [w for w in map(writer_of, node.input_entities) if w is not None and w != pipe_id]
        producers[pipe_id] = tuple(dict.fromkeys(found) if len(found) > 1 else found)
    return FrozenDict(producers)


def edges_of(nodes: Mapping[str, PipeNode], producers: Neighbours) -> tuple[PipeEdge, ...]:
    """Return the data edges, by reading pipe, then by its inputs."""
    new: Callable[..., PipeEdge] = tuple.__new__  # the class itself takes twice as long
    entity_of: dict[str, Any] = {pipe_id: node.output_entity for pipe_id, node in nodes.items()}
    return tuple(
        [
            new(PipeEdge, (producer, pipe_id, entity_of[producer]))
            for pipe_id, before in producers.items()
            for producer in before
        ]
    )


def within(neighbours: Neighbours, pipe_ids: Collection[str]) -> Neighbours:
    """Return the neighbours of some pipes of a graph as if it had no other pipes."""
    members = set(pipe_ids)
    if len(members) == len(neighbours):
        return neighbours
    return {p: tuple([n for n in neighbours[p] if n in members]) for p in pipe_ids}


def digraph_of(nodes: Mapping[str, PipeNode], producers: Neighbours) -> nx.DiGraph[str]:
    """Return a frozen networkx graph: ``pipe`` is an attribute of nodes, ``entity`` of edges."""
    import networkx as nx  # costs as much as a worker's other imports: only where a graph is built

    digraph: nx.DiGraph[str] = nx.DiGraph()
    for pipe_id, node in nodes.items():
        digraph.add_node(pipe_id, pipe=node)
    digraph.add_edges_from(
        (producer, pipe_id, {"entity": nodes[producer].output_entity})
        for pipe_id, before in producers.items()
        for producer in before
    )
    nx.freeze(digraph)
    return digraph
