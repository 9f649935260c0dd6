"""A plan as Mermaid and DOT: a frame per generation, an arrow per data edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kindling_airflow.common.drawing import Arrow, Box, Group, to_dot, to_mermaid
from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["plan_dot", "plan_mermaid"]

_Drawer = Callable[[Sequence[Box], Sequence[Arrow], Sequence[Group]], str]


def plan_mermaid(plan: ExecutionPlan) -> str:
    """Return a plan as a Mermaid flowchart.

    Arrows go where the data goes, from the pipe that writes to the pipe that reads; in a streaming
    plan that is from later generations to earlier ones. GitHub draws up to 500 arrows and 50,000
    characters.
    """
    return _drawn(plan, to_mermaid)


def plan_dot(plan: ExecutionPlan) -> str:
    """Return a plan in the DOT language of Graphviz; see :func:`plan_mermaid`."""
    return _drawn(plan, to_dot)


def _drawn(plan: ExecutionPlan, drawer: _Drawer) -> str:
    members = set(plan.pipe_ids)
    boxes = [Box(pipe_id, pipe_id) for pipe_id in plan.pipe_ids]
    groups = [Group(f"Generation {g.number}", g.pipe_ids) for g in plan.generations]
    arrows = [
        Arrow(edge.from_pipe, edge.to_pipe, edge.entity)
        for edge in plan.graph.edges
        if edge.from_pipe in members and edge.to_pipe in members
    ]
    return drawer(boxes, arrows, groups)
