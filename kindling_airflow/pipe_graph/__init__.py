"""Who depends on whom: the graph that the declared inputs and outputs of pipes imply.

    raw.orders                 an edge goes from the pipe that writes an entity
        |                      to every pipe that reads it:
    bronze ----- bronze.orders ----> silver ----- silver.orders ----> gold

An input that no pipe in the graph writes is external. A pipe that reads its own output reads prior
state: no edge, no cycle. Everything is in the order in which the pipes were asked for, so nothing
depends on hash order, and building takes time linear in pipes and edges, without recursion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from kindling_airflow.common.drawing import Arrow, Box, to_mermaid
from kindling_airflow.common.frozen import EMPTY, FrozenDict, freeze
from kindling_airflow.data_entities import DataEntityRegistry, list_problems, tag_problems
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.data_pipes.sql_inputs import derive_inputs
from kindling_airflow.errors import GraphCycleError, GraphValidationError, did_you_mean
from kindling_airflow.pipe_graph.cycles import PipeEdge, cycle_text, cycles, layers
from kindling_airflow.pipe_graph.index import Wiring

__all__ = [
    "GraphCycleError",
    "GraphValidationError",
    "PipeEdge",
    "PipeGraph",
    "PipeGraphBuilder",
    "PipeNode",
    "PipeSource",
]


class PipeSource(Protocol):
    """Where a builder finds declarations: a registry of pipes, or a manifest."""

    def get_pipe_ids(self) -> list[str]:
        """Return the ids of all pipes."""
        ...

    def get_pipe_definition(self, pipeid: str) -> PipeMetadata | None:
        """Return a pipe's declaration, or None where there is none."""
        ...


class PipeNode(NamedTuple):
    """A pipe as the graph sees it; one node is another if they are of one pipe.

    Graphs are compared by what their nodes say.
    """

    pipe_id: str
    input_entities: tuple[str, ...] = ()
    output_entity: str | None = None
    metadata: PipeMetadata | None = None

    def __eq__(self, other: object) -> bool:
        """Return whether the other one is a node of the same pipe."""
        return isinstance(other, PipeNode) and self.pipe_id == other.pipe_id

    def __ne__(self, other: object) -> bool:
        """Return whether the other one is no node of the same pipe."""
        return not self == other

    def __hash__(self) -> int:
        """Return the hash of the pipe's id."""
        return hash(self.pipe_id)

    @property
    def tags(self) -> Mapping[str, Any]:
        """The pipe's tags; empty where the node has no declaration."""
        return self.metadata.tags if self.metadata is not None else EMPTY


@dataclass(frozen=True, slots=True)
class PipeGraph:
    """An acyclic dependency graph of pipes; all but the nodes follows from their declarations.

    Attributes:
        nodes: each pipe by its id, in the order requested.
        entity_tags: the tags of the entities that were declared with some; those of entities that
            no pipe touches are left out.
        wiring: what follows from inputs and outputs, by number.

    Raises:
        GraphCycleError: the pipes form cycles, and nothing else is wrong; one of each knot.
        GraphValidationError: two pipes write one entity, inputs are no list, tags of an entity
            cannot be written as JSON; lists every problem, cycles included.
    """

    nodes: Mapping[str, PipeNode]
    entity_tags: Mapping[str, Mapping[str, Any]] = EMPTY
    wiring: Wiring = field(init=False, repr=False, compare=False)

    def __eq__(self, other: object) -> bool:
        """Return whether the other one is a graph of the same declarations."""
        if not isinstance(other, PipeGraph):
            return NotImplemented
        same = self.nodes.keys() == other.nodes.keys() and self.entity_tags == other.entity_tags
        return same and all(tuple(n) == tuple(other.nodes[p]) for p, n in self.nodes.items())

    def __hash__(self) -> int:
        """Return the hash of the pipes' ids."""
        return hash(frozenset(self.nodes))

    def __post_init__(self) -> None:
        nodes, problems = _frozen_nodes(self.nodes)
        wiring = Wiring(tuple(nodes.values()))
        problems += wiring.problems
        tags, unfit = _frozen_tags(self.entity_tags, wiring)
        problems += unfit
        if wiring.depths is None:
            found = list(cycles(nodes, wiring.edges))
            texts = [cycle_text(cycle, wiring.edges) for cycle in found]
            if not problems:
                raise GraphCycleError(found[0], texts)
            problems += texts
        if problems:
            raise GraphValidationError(problems)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "entity_tags", tags)
        object.__setattr__(self, "wiring", wiring)

    @property
    def edges(self) -> tuple[PipeEdge, ...]:
        """The data edges, by reading pipe, then by its inputs."""
        return self.wiring.edges

    @property
    def adjacency(self) -> Mapping[str, tuple[str, ...]]:
        """For each pipe, the pipes that read its output."""
        return self.wiring.adjacency

    @property
    def reverse_adjacency(self) -> Mapping[str, tuple[str, ...]]:
        """For each pipe, the pipes whose output it reads."""
        return self.wiring.reverse_adjacency

    @property
    def entity_producers(self) -> Mapping[str, str]:
        """For each entity that is written, its one writer."""
        return self.wiring.entity_producers

    @property
    def entity_consumers(self) -> Mapping[str, tuple[str, ...]]:
        """For each entity that is read, its readers."""
        return self.wiring.entity_consumers

    @property
    def topological_order(self) -> tuple[str, ...]:
        """All pipe ids, producers first."""
        return self.wiring.order

    @property
    def depths(self) -> Mapping[str, int]:
        """For each pipe, the pipes on the longest chain of producers that leads to it."""
        return self.wiring.depth_of

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


def _frozen_nodes(nodes: Mapping[str, PipeNode]) -> tuple[FrozenDict, list[str]]:
    """Return the nodes so that nobody can change them; a node by hand may hold its maker's list."""
    frozen = nodes if isinstance(nodes, FrozenDict) else FrozenDict(nodes)
    if {tuple}.issuperset(map(type, map(itemgetter(1), frozen.values()))):
        return frozen, []
    own: dict[str, PipeNode] = {}
    problems = []
    for key, node in frozen.items():
        problems += (found := list_problems(f"pipe {key!r}: inputs", node.input_entities))
        own[key] = node._replace(input_entities=() if found else tuple(node.input_entities))
    return FrozenDict(own), problems


def _frozen_tags(
    entity_tags: Mapping[str, Mapping[str, Any]], wiring: Wiring
) -> tuple[FrozenDict, list[str]]:
    """Return the tags of the entities that the pipes touch so that nobody can change them."""
    touched = {entity: tags for entity, tags in entity_tags.items() if wiring.touches(entity)}
    if {FrozenDict}.issuperset(map(type, touched.values())):
        return FrozenDict(touched), []
    problems = [
        problem
        for entity, tags in touched.items()
        for problem in tag_problems(f"entity {entity!r}: tags", tags)
    ]
    return (EMPTY, problems) if problems else (freeze(touched), problems)


class PipeGraphBuilder:
    """Builds graphs from the declarations in a registry, and answers questions about them.

    Args:
        registry: where the declarations are; a registry of pipes or a manifest.
        logger_provider: accepted for code written for the user's document; not needed.
        entities: where the entities' tags are; by default the manifest's own.
    """

    def __init__(
        self,
        registry: PipeSource,
        logger_provider: Any = None,
        entities: DataEntityRegistry | None = None,
    ) -> None:
        self._registry = registry
        self._logger_provider = logger_provider
        self._entities = getattr(registry, "entities", None) if entities is None else entities

    def build_graph(self, pipe_ids: Sequence[str] | None = None) -> PipeGraph:
        """Return the graph of these pipes (default: all that are declared).

        Raises:
            DeclarationError: the inputs of a query are to be derived, and cannot be.
            GraphCycleError: the pipes form cycles, and nothing else is wrong.
            GraphValidationError: unknown or repeated ids, a string where a list belongs, two pipes
                that write one entity; lists every problem, cycles included.
        """
        wanted = self._registry.get_pipe_ids() if pipe_ids is None else pipe_ids
        problems = list_problems("pipe_ids", wanted)
        if problems:
            raise GraphValidationError(problems)
        nodes, problems = self._nodes(wanted)
        try:
            graph = PipeGraph(nodes, self._entity_tags())
        except GraphValidationError as error:
            if not problems:
                raise
            problems += error.problems
        if problems:
            raise GraphValidationError(problems)
        return graph

    def detect_cycles(self, pipe_ids: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
        """Return one cycle of each knot among these pipes (default: all); none for a sound graph.

        Each cycle starts with its smallest id, which is repeated at its end.

        Raises:
            GraphValidationError: something else is wrong; see :meth:`build_graph`.
        """
        wanted = self._registry.get_pipe_ids() if pipe_ids is None else pipe_ids
        problems = list_problems("pipe_ids", wanted)
        nodes, unknown = self._nodes([] if problems else wanted)
        wiring = Wiring(tuple(nodes.values()))
        problems += [*unknown, *wiring.problems]
        if problems:
            raise GraphValidationError(problems)
        return tuple(tuple(cycle) for cycle in cycles(nodes, wiring.edges))

    def topological_sort(self, graph: PipeGraph) -> tuple[str, ...]:
        """Return all pipes, producers before their consumers."""
        return graph.topological_order

    def reverse_topological_sort(self, graph: PipeGraph) -> tuple[str, ...]:
        """Return all pipes, consumers before their producers."""
        return graph.topological_order[::-1]

    def get_generations(self, graph: PipeGraph) -> tuple[tuple[str, ...], ...]:
        """Return the pipes by generation, sources first: each as early as its producers allow."""
        return tuple(map(graph.wiring.named, graph.wiring.layers))

    def get_reverse_generations(self, graph: PipeGraph) -> tuple[tuple[str, ...], ...]:
        """Return the pipes by generation, sinks first: each as early as its consumers allow."""
        found = layers(graph.nodes, reversed(graph.topological_order), graph.adjacency)
        return tuple(map(tuple, found))

    def visualize_mermaid(self, graph: PipeGraph) -> str:
        """Return a graph as a Mermaid flowchart: a box per pipe, an arrow per data edge.

        >>> from kindling_airflow.data_pipes import DataPipesRegistry
        >>> pipes = DataPipesRegistry()
        >>> _ = pipes.register_pipe("bronze", output_entity_id="bronze.orders")
        >>> _ = pipes.register_pipe(
        ...     "silver", input_entity_ids=["bronze.orders"], output_entity_id="silver.orders"
        ... )
        >>> builder = PipeGraphBuilder(pipes)
        >>> print(builder.visualize_mermaid(builder.build_graph()))
        flowchart LR
          n0["bronze"]
          n1["silver"]
          n0 -->|"bronze.orders"| n1
        """
        boxes = [Box(pipe_id, pipe_id) for pipe_id in graph.nodes]
        return to_mermaid(boxes, (Arrow(*edge) for edge in graph.edges))

    def get_graph_stats(self, graph: PipeGraph) -> dict[str, Any]:
        """Return a graph's figures.

        ``shared_entities`` are read by two or more pipes; each reader after the first is one of the
        ``total_cache_opportunities``.
        """
        generations = self.get_generations(graph)
        shared = graph.get_shared_inputs()
        dependencies = sum(len(graph.get_dependencies(pipe_id)) for pipe_id in graph.nodes)
        return {
            "node_count": len(graph.nodes),
            "edge_count": len(graph.edges),
            "root_count": len(graph.get_root_nodes()),
            "leaf_count": len(graph.get_leaf_nodes()),
            "generation_count": len(generations),
            "max_parallelism": max(map(len, generations), default=0),
            "avg_dependencies": dependencies / len(graph.nodes) if graph.nodes else 0.0,
            "external_entities": len(graph.external_entities()),
            "shared_entities": len(shared),
            "total_cache_opportunities": sum(len(pipes) - 1 for pipes in shared.values()),
        }

    def _nodes(self, wanted: Sequence[str]) -> tuple[Mapping[str, PipeNode], list[str]]:
        registry = self._registry
        if isinstance(registry, DataPipesRegistry) and registry.awaiting:
            derive_inputs(registry, (entity.entityid for entity in self._entities or ()))
        found = [p for p in map(registry.get_pipe_definition, wanted) if p is not None]
        new = tuple.__new__  # of the class itself it would take twice as long
        made = [
            new(PipeNode, (p.pipeid, p.input_entity_ids, p.output_entity_id or None, p))
            for p in found
        ]
        nodes = FrozenDict(zip([node[0] for node in made], made, strict=True))
        if len(nodes) == len(wanted):
            return nodes, []
        problems = [
            f"pipe {pipe_id!r} is asked for more than once\n  Fix: name each pipe once."
            for pipe_id, times in Counter(wanted).items()
            if times > 1 and pipe_id in nodes
        ]
        known = self._registry.get_pipe_ids()
        problems += [
            f"unknown pipe {pipe_id!r}.{did_you_mean(pipe_id, known)}\n"
            "  Fix: correct the id, or import the module that declares the pipe."
            for pipe_id in dict.fromkeys(wanted)
            if pipe_id not in nodes
        ]
        return nodes, problems

    def _entity_tags(self) -> dict[str, Mapping[str, Any]]:
        return {entity.entityid: entity.tags for entity in self._entities or () if entity.tags}
