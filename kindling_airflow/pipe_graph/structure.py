"""Nodes and edges of a graph of pipes, and the networkx graph that is built from them.

pipe      a          b <- a.out     c <- a.out b.out
writers   a.out: a   b.out: b       c.out: c
producers a: ()      b: (a)         c: (a, b)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kindling_airflow.common.immutable import EMPTY, FrozenDict
from kindling_airflow.data_pipes import PipeMetadata

if TYPE_CHECKING:
    import networkx as nx

Neighbours = Mapping[str, tuple[str, ...]]
Written = Mapping[str, tuple[str, FrozenDict]]
"""For each entity its writer, and the attributes that all edges of this entity share."""
Reads = Mapping[str, dict[str, FrozenDict]]
"""For each pipe the writers of its inputs, with the attributes of these edges."""


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


def written_by(nodes: Mapping[str, PipeNode]) -> tuple[Written, list[str]]:
    """Return each entity's first writer, and a problem for each entity that has more."""
    written: dict[str, tuple[str, FrozenDict]] = {}
    doubled: dict[str, list[str]] = {}
    for pipe_id, node in nodes.items():
        entity = node.output_entity
        if entity is None:
            continue
        if entity in written:
            doubled.setdefault(entity, [written[entity][0]]).append(pipe_id)
        else:
            written[entity] = pipe_id, FrozenDict(entity=entity)
    return written, [
        f"entity {entity!r} is written by more than one pipe: {', '.join(map(repr, pipes))}\n"
        "  Fix: let each pipe write its own entity, and join them in another pipe."
        for entity, pipes in doubled.items()
    ]


def readers_of(nodes: Mapping[str, PipeNode], written: Written) -> dict[str, list[str]]:
    """Return the readers of each entity that is read; written entities come first."""
    found: dict[str, list[str]] = {entity: [] for entity in written}
    for pipe_id, node in nodes.items():
        for entity in node.input_entities:
            readers = found.get(entity)
            if readers is None:
                found[entity] = [pipe_id]
            elif not readers or readers[-1] is not pipe_id:  # named twice, read once
                readers.append(pipe_id)
    return {entity: readers for entity, readers in found.items() if readers}


def reads_of(nodes: Mapping[str, PipeNode], written: Written) -> Reads:
    """Return for each pipe the others whose output it reads, in the order of its inputs."""
    edge_of = written.get
    return {
        pipe_id: {
            edge[0]: edge[1]
            for edge in map(edge_of, node.input_entities)
            if edge is not None and edge[0] != pipe_id
        }
        for pipe_id, node in nodes.items()
    }


def edges_of(reads: Reads) -> tuple[PipeEdge, ...]:
    """Return the data edges, by reading pipe, then by its inputs."""
    new: Callable[..., PipeEdge] = tuple.__new__  # the class itself takes twice as long
    return tuple(
        [
            new(PipeEdge, (writer, pipe_id, attributes["entity"]))
            for pipe_id, edges in reads.items()
            for writer, attributes in edges.items()
        ]
    )


def within(neighbours: Neighbours, pipe_ids: Collection[str]) -> Neighbours:
    """Return the neighbours of some pipes of a graph as if it had no other pipes."""
    members = set(pipe_ids)
    if len(members) == len(neighbours):
        return neighbours
    return {p: tuple([n for n in neighbours[p] if n in members]) for p in pipe_ids}


def digraph_of(
    nodes: Mapping[str, PipeNode],
    written: Written,
    reads: Reads,
    readers: Mapping[str, Iterable[str]],
) -> nx.DiGraph[str]:
    """Return a frozen networkx graph: ``pipe`` is an attribute of nodes, ``entity`` of edges.

    Its dictionaries are filled directly: ``add_edges_from`` takes twice as long, and makes three
    times as many dictionaries.
    """
    import networkx as nx  # costs as much as a worker's other imports: only where a graph is built

    digraph: Any = nx.DiGraph()
    # Plain dictionaries: networkx takes (node, attributes) for a node where that is hashable.
    digraph._node.update({pipe_id: {"pipe": node} for pipe_id, node in nodes.items()})
    digraph._pred.update(reads)
    digraph._succ.update({pipe_id: {} for pipe_id in nodes})
    for entity, (writer, attributes) in written.items():
        if entity in readers:
            after = dict.fromkeys(readers[entity], attributes)
            after.pop(writer, None)
            digraph._succ[writer] = after
    frozen: nx.DiGraph[str] = nx.freeze(digraph)
    return frozen
