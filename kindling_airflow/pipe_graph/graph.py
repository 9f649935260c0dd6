"""The graph of pipes that the declared inputs and outputs imply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.immutable import EMPTY, FrozenDict, freeze
from kindling_airflow.data_entities import list_problems, tag_problems
from kindling_airflow.errors import GraphCycleError, GraphValidationError
from kindling_airflow.pipe_graph.cycles import cycle_text, cycles
from kindling_airflow.pipe_graph.structure import (
    Neighbours,
    PipeEdge,
    PipeNode,
    Reads,
    Written,
    digraph_of,
    edges_of,
    readers_of,
    reads_of,
    written_by,
)

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class PipeGraph:
    """An immutable, acyclic graph of pipes; all but the nodes follows from their declarations.

    Attributes:
        nodes: each pipe by its id, in the order requested.
        entity_tags: the tags of entities; those of entities that no pipe reads or writes are
            dropped.

    Args:
        lazy: do not build :attr:`digraph` before it is needed; cycles are found all the same.

    Raises:
        GraphCycleError: the pipes form cycles, and nothing else is wrong; one cycle of each
            strongly connected component.
        GraphValidationError: two pipes write one entity, inputs are not a list, tags of an entity
            cannot be written as JSON; lists every problem, cycles included.
    """

    nodes: Mapping[str, PipeNode]
    entity_tags: Mapping[str, Mapping[str, Any]] = EMPTY
    lazy: InitVar[bool] = False

    def __eq__(self, other: object) -> bool:
        """Return whether the other object is a graph of the same declarations."""
        if not isinstance(other, PipeGraph):
            return NotImplemented
        same = self.nodes.keys() == other.nodes.keys() and self.entity_tags == other.entity_tags
        return same and all(tuple(n) == tuple(other.nodes[p]) for p, n in self.nodes.items())

    def __hash__(self) -> int:
        """Return the hash of the pipes' ids."""
        return hash(frozenset(self.nodes))

    def __getstate__(self) -> dict[str, Any]:
        return {"nodes": self.nodes, "entity_tags": self.entity_tags}

    def __post_init__(self, lazy: bool) -> None:
        nodes, problems = _frozen_nodes(self.nodes)
        object.__setattr__(self, "nodes", nodes)
        written, doubled = written_by(nodes)
        object.__setattr__(self, "_written", written)
        problems += doubled
        tags, unfit = self._frozen_tags()
        object.__setattr__(self, "entity_tags", tags)
        problems += unfit
        if self._has_cycles(lazy):
            found = list(cycles(self.digraph))
            texts = [cycle_text(cycle, self.digraph.edges) for cycle in found]
            if not problems:
                raise GraphCycleError(found[0], texts)
            problems += texts
        if problems:
            raise GraphValidationError(problems)

    def _has_cycles(self, lazy: bool) -> bool:
        if lazy:
            try:
                TopologicalSorter(self._reads).prepare()
            except CycleError:
                return True
            return False
        import networkx as nx

        try:
            _ = self.generations
        except nx.NetworkXUnfeasible:
            return True
        return False

    def _frozen_tags(self) -> tuple[FrozenDict, list[str]]:
        touched = {
            entity: tags
            for entity, tags in self.entity_tags.items()
            if entity in self._written or entity in self.entity_consumers
        }
        if {FrozenDict}.issuperset(map(type, touched.values())):
            return FrozenDict(touched), []
        problems = [
            problem
            for entity, tags in touched.items()
            for problem in tag_problems(f"entity {entity!r}: tags", tags)
        ]
        return (EMPTY, problems) if problems else (freeze(touched), problems)

    @cached_property
    def _written(self) -> Written:
        return written_by(self.nodes)[0]

    @cached_property
    def _reads(self) -> Reads:
        return reads_of(self.nodes, self._written)

    @cached_property
    def digraph(self) -> nx.DiGraph[str]:
        """The structure as a networkx graph, frozen: an edge from each writer to each reader.

        A node has the attribute ``pipe``, its :class:`PipeNode`; an edge has ``entity``, the id of
        the entity that is written and read. Nodes are in the order requested.
        """
        return digraph_of(self.nodes, self._written, self._reads, self.entity_consumers)

    @cached_property
    def generations(self) -> tuple[tuple[str, ...], ...]:
        """The pipes by generation, each as early as its producers allow, in the order of nodes."""
        return _generations(self.digraph, tuple(self.nodes))

    def generations_of(
        self, pipe_ids: Sequence[str], *, reverse: bool = False
    ) -> tuple[tuple[str, ...], ...]:
        """Return some pipes by generation, as if the graph had no others.

        Args:
            pipe_ids: pipes of the graph, in the order that they have in a generation.
            reverse: each pipe comes as early as its consumers, not its producers, allow.
        """
        if not reverse and self.is_all(pipe_ids):
            return self.generations
        digraph = self.digraph
        if len(set(pipe_ids)) < len(self.nodes):
            digraph = digraph.subgraph(pipe_ids).copy()
        return _generations(digraph.reverse(copy=False) if reverse else digraph, pipe_ids)

    def is_all(self, pipe_ids: Sequence[str]) -> bool:
        """Return whether these are all the pipes, in their order."""
        return not isinstance(pipe_ids, str) and tuple(self.nodes) == tuple(pipe_ids)

    @cached_property
    def edges(self) -> tuple[PipeEdge, ...]:
        """The data edges, by reading pipe, then by its inputs."""
        return edges_of(self._reads)

    @cached_property
    def adjacency(self) -> Neighbours:
        """For each pipe, the pipes that read its output."""
        return FrozenDict({pipe_id: tuple(after) for pipe_id, after in self.digraph.adjacency()})

    @cached_property
    def reverse_adjacency(self) -> Neighbours:
        """For each pipe, the pipes whose output it reads."""
        return FrozenDict({pipe_id: tuple(edges) for pipe_id, edges in self._reads.items()})

    @cached_property
    def entity_producers(self) -> Mapping[str, str]:
        """For each entity that is written, its one writer."""
        return FrozenDict({entity: writer for entity, (writer, _) in self._written.items()})

    @cached_property
    def entity_consumers(self) -> Neighbours:
        """For each entity that is read, its readers; written entities come first."""
        readers = readers_of(self.nodes, self._written)
        return FrozenDict({entity: tuple(pipes) for entity, pipes in readers.items()})

    @cached_property
    def topological_order(self) -> tuple[str, ...]:
        """All pipe ids, producers first: generation by generation."""
        return tuple(chain.from_iterable(self.generations))

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """For each pipe, the pipes on the longest chain of producers that leads to it."""
        return FrozenDict({p: n for n, column in enumerate(self.generations) for p in column})

    def get_producer(self, entity_id: str) -> str | None:
        """Return the pipe that writes an entity, or None for an external one."""
        return self.entity_producers.get(entity_id)

    def get_dependencies(self, pipe_id: str) -> tuple[str, ...]:
        """Return the pipes whose output ``pipe_id`` reads, in the order of its inputs."""
        return self.reverse_adjacency.get(pipe_id, ())

    def get_dependents(self, pipe_id: str) -> tuple[str, ...]:
        """Return the pipes that read the output of ``pipe_id``."""
        return self.adjacency.get(pipe_id, ())

    def get_root_nodes(self) -> tuple[str, ...]:
        """Return the pipes that read from no other pipe."""
        return tuple(pipe_id for pipe_id in self.nodes if not self.get_dependencies(pipe_id))

    def get_leaf_nodes(self) -> tuple[str, ...]:
        """Return the pipes whose output no pipe reads."""
        return tuple(pipe_id for pipe_id in self.nodes if not self.get_dependents(pipe_id))

    def get_shared_inputs(self) -> dict[str, tuple[str, ...]]:
        """Return the entities that two or more pipes read, with their readers."""
        return {e: pipes for e, pipes in self.entity_consumers.items() if len(pipes) > 1}

    def external_entities(self) -> tuple[str, ...]:
        """Return the entities that are read but that no pipe of the graph writes."""
        return tuple(e for e in self.entity_consumers if e not in self.entity_producers)


def _generations(digraph: nx.DiGraph[str], pipe_ids: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    import networkx as nx

    place = {pipe_id: n for n, pipe_id in enumerate(pipe_ids)}.__getitem__
    found = nx.topological_generations(digraph)
    return tuple([tuple(sorted(g, key=place) if len(g) > 1 else g) for g in found])


def _frozen_nodes(nodes: Mapping[str, PipeNode]) -> tuple[FrozenDict, list[str]]:
    """Return nodes that cannot change; one made by hand may hold a list that its maker keeps."""
    frozen = nodes if isinstance(nodes, FrozenDict) else FrozenDict(nodes)
    if {tuple}.issuperset(map(type, map(itemgetter(1), frozen.values()))):
        return frozen, []
    own: dict[str, PipeNode] = {}
    problems = []
    for key, node in frozen.items():
        problems += (found := list_problems(f"pipe {key!r}: inputs", node.input_entities))
        own[key] = node._replace(input_entities=() if found else tuple(node.input_entities))
    return FrozenDict(own), problems
