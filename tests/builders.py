"""Builders: a drawing in, declarations, a graph or a plan out.

    pipes("a -> b -> d, a -> c -> d, lone")

declares the pipes ``a``, ``b``, ``d``, ``c`` and ``lone``, in the order of their first mention. An
arrow says that the right pipe reads what the left one writes; pipe ``a`` writes entity ``a.out``.

    "[raw] -> a"     a reads the external entity raw, which no pipe writes
    "a -> a"         a reads its own output
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator, ExecutionStrategy
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder

__all__ = ["graph", "output_of", "pipes", "plan"]


def output_of(pipe_id: str) -> str:
    """Return the entity that a drawn pipe writes."""
    return f"{pipe_id}.out"


def pipes(drawing: str, tags: Mapping[str, Mapping[str, Any]] | None = None) -> DataPipesRegistry:
    """Return the pipes of a drawing.

    Args:
        drawing: see the module's description.
        tags: tags by pipe id.
    """
    inputs: dict[str, dict[str, None]] = {}
    for path in filter(None, (path.strip() for path in drawing.split(","))):
        steps = [step.strip() for step in path.split("->")]
        for step in steps:
            if not step.startswith("["):
                inputs.setdefault(step, {})
        for left, right in pairwise(steps):
            entity = left.strip("[]") if left.startswith("[") else output_of(left)
            inputs[right][entity] = None
    registry = DataPipesRegistry()
    for pipe_id, entities in inputs.items():
        registry.register_pipe(
            pipe_id,
            input_entity_ids=list(entities),
            output_entity_id=output_of(pipe_id),
            tags=(tags or {}).get(pipe_id),
        )
    return registry


def graph(drawing: str) -> PipeGraph:
    """Return the graph of a drawing."""
    return PipeGraphBuilder(pipes(drawing)).build_graph()


def plan(
    drawing: str,
    strategy: ExecutionStrategy | str = "batch",
    tags: Mapping[str, Mapping[str, Any]] | None = None,
) -> ExecutionPlan:
    """Return the validated plan of a drawing."""
    return ExecutionPlanGenerator(pipes(drawing, tags)).generate_plan(None, strategy)
