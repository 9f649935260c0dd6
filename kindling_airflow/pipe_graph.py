"""Who depends on whom: the graph that the declared inputs and outputs of pipes imply.

    raw.orders                 an edge goes from the pipe that writes an entity
        |                      to every pipe that reads it:
    bronze ----- bronze.orders ----> silver ----- silver.orders ----> gold

An input that no pipe in the graph writes is external. A pipe that reads its own output reads prior
state: no edge, no cycle. Everything is in the order in which the pipes were asked for, so nothing
depends on hash order, and building takes time linear in pipes and edges, without recursion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import networkx as nx

from kindling_airflow.data_entities import list_problems
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import GraphCycleError, GraphValidationError, did_you_mean
from kindling_airflow.frozen import FrozenDict

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


@dataclass(frozen=True, slots=True)
class PipeNode:
    """A pipe as the graph sees it."""

    pipe_id: str
    input_entities: tuple[str, ...] = ()
    output_entity: str | None = None
    metadata: PipeMetadata | None = None

    @property
    def tags(self) -> Mapping[str, Any]:
        """The pipe's tags; empty where the node has no declaration."""
        return self.metadata.tags if self.metadata is not None else FrozenDict()


@dataclass(frozen=True, slots=True)
class PipeEdge:
    """``to_pipe`` reads ``entity``, which ``from_pipe`` writes."""

    from_pipe: str
    to_pipe: str
    entity: str


@dataclass(frozen=True, slots=True)
class PipeGraph:
    """An acyclic dependency graph of pipes; made by :class:`PipeGraphBuilder`.

    Attributes:
        nodes: each pipe by its id, in the order requested.
        edges: the data edges, by reading pipe, then by its inputs.
        adjacency: for each pipe, the pipes that read its output.
        reverse_adjacency: for each pipe, the pipes whose output it reads.
        entity_producers: for each entity that is written, its one writer.
        entity_consumers: for each entity that is read, its readers.
        topological_order: all pipe ids, producers first.
    """

    nodes: Mapping[str, PipeNode]
    edges: tuple[PipeEdge, ...] = ()
    adjacency: Mapping[str, tuple[str, ...]] = field(default_factory=FrozenDict)
    reverse_adjacency: Mapping[str, tuple[str, ...]] = field(default_factory=FrozenDict)
    entity_producers: Mapping[str, str] = field(default_factory=FrozenDict)
    entity_consumers: Mapping[str, tuple[str, ...]] = field(default_factory=FrozenDict)
    topological_order: tuple[str, ...] = ()

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


class PipeGraphBuilder:
    """Builds graphs from the declarations in a registry.

    Args:
        registry: where the declarations are; a registry of pipes or a manifest.
        logger_provider: accepted for code written for the user's document; not needed.
    """

    def __init__(self, registry: PipeSource, logger_provider: Any = None) -> None:
        self._registry = registry
        self._logger_provider = logger_provider

    def build_graph(self, pipe_ids: Sequence[str] | None = None) -> PipeGraph:
        """Return the graph of these pipes (default: all that are declared).

        Raises:
            GraphCycleError: the pipes form cycles, and nothing else is wrong.
            GraphValidationError: unknown or repeated ids, a string where a list belongs, two pipes
                that write one entity; lists every problem, cycles included.
        """
        wanted = self._registry.get_pipe_ids() if pipe_ids is None else pipe_ids
        problems = list_problems("pipe_ids", wanted)
        if problems:
            raise GraphValidationError(problems)
        nodes, problems = self._nodes(wanted)
        producers, doubled = _producers(nodes.values())
        problems += doubled
        edges, predecessors, successors = _connect(nodes, producers)
        order = _topological_order(predecessors, successors)
        if len(order) < len(nodes):
            cycles = list(_cycles(nodes, edges))
            texts = [_cycle_text(cycle, producers, nodes) for cycle in cycles]
            if not problems:
                raise GraphCycleError(cycles[0], texts) from None
            problems += texts
        if problems:
            raise GraphValidationError(problems)
        return PipeGraph(
            nodes=FrozenDict(nodes),
            edges=tuple(edges),
            adjacency=_frozen_lists(successors),
            reverse_adjacency=_frozen_lists(predecessors),
            entity_producers=FrozenDict(producers),
            entity_consumers=_consumers(nodes.values()),
            topological_order=tuple(order),
        )

    def _nodes(self, wanted: Sequence[str]) -> tuple[dict[str, PipeNode], list[str]]:
        nodes: dict[str, PipeNode] = {}
        problems = []
        for pipe_id in wanted:
            if pipe_id in nodes:
                problems.append(
                    f"pipe {pipe_id!r} is asked for more than once\n  Fix: name each pipe once."
                )
                continue
            pipe = self._registry.get_pipe_definition(pipe_id)
            if pipe is None:
                hint = did_you_mean(pipe_id, self._registry.get_pipe_ids())
                problems.append(
                    f"unknown pipe {pipe_id!r}.{hint}\n"
                    "  Fix: correct the id, or import the module that declares the pipe."
                )
                continue
            nodes[pipe_id] = PipeNode(
                pipe_id, tuple(pipe.input_entity_ids), pipe.output_entity_id or None, pipe
            )
        return nodes, problems


def _producers(nodes: Iterable[PipeNode]) -> tuple[dict[str, str], list[str]]:
    writers: dict[str, list[str]] = {}
    for node in nodes:
        if node.output_entity is not None:
            writers.setdefault(node.output_entity, []).append(node.pipe_id)
    problems = [
        f"entity {entity!r} is written by more than one pipe: {', '.join(map(repr, pipes))}\n"
        "  Fix: let each pipe write an entity of its own, and join them in a further pipe."
        for entity, pipes in writers.items()
        if len(pipes) > 1
    ]
    return {entity: pipes[0] for entity, pipes in writers.items()}, problems


def _connect(
    nodes: Mapping[str, PipeNode], producers: Mapping[str, str]
) -> tuple[list[PipeEdge], dict[str, dict[str, None]], dict[str, dict[str, None]]]:
    """Return the edges, and predecessors and successors of each pipe as ordered sets."""
    edges = []
    predecessors: dict[str, dict[str, None]] = {pipe_id: {} for pipe_id in nodes}
    successors: dict[str, dict[str, None]] = {pipe_id: {} for pipe_id in nodes}
    for pipe_id, node in nodes.items():
        for entity in node.input_entities:
            producer = producers.get(entity)
            if producer is None or producer == pipe_id:
                continue
            edges.append(PipeEdge(producer, pipe_id, entity))
            predecessors[pipe_id][producer] = None
            successors[producer][pipe_id] = None
    return edges, predecessors, successors


def _topological_order(
    predecessors: Mapping[str, Mapping[str, None]], successors: Mapping[str, Mapping[str, None]]
) -> list[str]:
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


def _frozen_lists(lists: Mapping[str, Iterable[str]]) -> FrozenDict:
    return FrozenDict({key: tuple(items) for key, items in lists.items()})


def _consumers(nodes: Iterable[PipeNode]) -> FrozenDict:
    readers: dict[str, dict[str, None]] = {}
    for node in nodes:
        for entity in node.input_entities:
            readers.setdefault(entity, {})[node.pipe_id] = None
    return _frozen_lists(readers)


def _cycles(nodes: Iterable[str], edges: Iterable[PipeEdge]) -> Iterator[list[str]]:
    """Yield one cycle of each knot (strongly connected component), from its smallest id on."""
    digraph: nx.DiGraph[str] = nx.DiGraph()
    digraph.add_nodes_from(nodes)
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


def _cycle_text(
    cycle: Sequence[str], producers: Mapping[str, str], nodes: Mapping[str, PipeNode]
) -> str:
    lines = [f"Pipes form a cycle: {' -> '.join(map(repr, cycle))}"]
    for writer, reader in pairwise(cycle):
        entity = next(e for e in nodes[reader].input_entities if producers.get(e) == writer)
        lines.append(f"  {reader!r} reads entity {entity!r}, written by {writer!r}")
    lines.append("  Fix: remove one of these inputs, or split the pipe that reads its own result.")
    return "\n".join(lines)
