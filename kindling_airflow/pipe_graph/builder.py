"""Builds a graph from declarations, and answers questions about graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kindling_airflow.common.drawing import Arrow, Box, to_mermaid
from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import DataEntityRegistry, list_problems
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.data_pipes.sql_inputs import derive_inputs
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.pipe_graph.cycles import cycles
from kindling_airflow.pipe_graph.graph import PipeGraph
from kindling_airflow.pipe_graph.structure import (
    PipeNode,
    digraph_of,
    readers_of,
    reads_of,
    written_by,
)


class PipeSource(Protocol):
    """Where a builder finds declarations: a registry of pipes, or a manifest."""

    def get_pipe_ids(self) -> list[str]:
        """Return the ids of all pipes."""
        ...

    def get_pipe_definition(self, pipeid: str) -> PipeMetadata | None:
        """Return a pipe's declaration, or None if it has none."""
        ...


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
        nodes, problems = self._nodes(pipe_ids)
        tags = {entity.entityid: entity.tags for entity in self._entities or () if entity.tags}
        try:
            graph = PipeGraph(nodes, tags)
        except GraphValidationError as error:
            if not problems:
                raise
            problems += error.problems
        if problems:
            raise GraphValidationError(problems)
        return graph

    def detect_cycles(self, pipe_ids: Sequence[str] | None = None) -> tuple[tuple[str, ...], ...]:
        """Return one cycle of each strongly connected component (default: of all pipes).

        Each cycle starts with its smallest id, which is repeated at its end.

        Raises:
            GraphValidationError: something else is wrong; see :meth:`build_graph`.
        """
        nodes, problems = self._nodes(pipe_ids)
        written, doubled = written_by(nodes)
        problems += doubled
        if problems:
            raise GraphValidationError(problems)
        reads, readers = reads_of(nodes, written), readers_of(nodes, written)
        return tuple(map(tuple, cycles(digraph_of(nodes, written, reads, readers))))

    def topological_sort(self, graph: PipeGraph) -> tuple[str, ...]:
        """Return all pipes, producers before their consumers."""
        return graph.topological_order

    def reverse_topological_sort(self, graph: PipeGraph) -> tuple[str, ...]:
        """Return all pipes, consumers before their producers."""
        return graph.topological_order[::-1]

    def get_generations(self, graph: PipeGraph) -> tuple[tuple[str, ...], ...]:
        """Return the pipes by generation, sources first: each as early as its producers allow."""
        return graph.generations

    def get_reverse_generations(self, graph: PipeGraph) -> tuple[tuple[str, ...], ...]:
        """Return the pipes by generation, sinks first: each as early as its consumers allow."""
        return graph.generations_of(tuple(graph.nodes), reverse=True)

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

    def _nodes(self, pipe_ids: Sequence[str] | None) -> tuple[Mapping[str, PipeNode], list[str]]:
        registry = self._registry
        wanted = registry.get_pipe_ids() if pipe_ids is None else pipe_ids
        if wrong := list_problems("pipe_ids", wanted):
            raise GraphValidationError(wrong)
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
            f"pipe {pipe_id!r} is requested more than once\n  Fix: list each pipe once."
            for pipe_id, times in Counter(wanted).items()
            if times > 1 and pipe_id in nodes
        ]
        known = registry.get_pipe_ids()
        problems += [
            f"unknown pipe {pipe_id!r}.{did_you_mean(pipe_id, known)}\n"
            "  Fix: correct the id, or import the module that declares the pipe."
            for pipe_id in dict.fromkeys(wanted)
            if pipe_id not in nodes
        ]
        return nodes, problems
