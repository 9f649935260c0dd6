"""The dependency graph of pipes, derived from their declared inputs and outputs.

    raw.orders                 an edge goes from the pipe that writes an entity
        |                      to every pipe that reads it:
    bronze ----- bronze.orders ----> silver ----- silver.orders ----> gold

An input that no pipe in the graph writes is external. A pipe that reads its own output reads the
state of its last run: no edge, no cycle. The structure is a networkx graph; everything is in the
order in which the pipes were requested, so nothing depends on hash order, and building takes time
linear in pipes and edges, without recursion.
"""

from __future__ import annotations

from kindling_airflow.errors import GraphCycleError, GraphValidationError
from kindling_airflow.pipe_graph.builder import PipeGraphBuilder, PipeSource
from kindling_airflow.pipe_graph.graph import PipeGraph
from kindling_airflow.pipe_graph.structure import PipeEdge, PipeNode

__all__ = [
    "GraphCycleError",
    "GraphValidationError",
    "PipeEdge",
    "PipeGraph",
    "PipeGraphBuilder",
    "PipeNode",
    "PipeSource",
]
