"""Priority by critical path: a narrow pool starts first what the end of the run waits for.

The weight of a pipe is the length of the longest path from it to a sink, itself included (the "b-level"
of list scheduling; T. L. Adam, K. M. Chandy and J. R. Dickson, CACM 17, 1974). Durations are the
``duration_hint`` tags in seconds, else 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["duration_hint", "priority_weights"]

_LARGEST_WEIGHT = 2**31 - 1  # Airflow's database column


def duration_hint(tags: Mapping[str, Any]) -> float | None:
    """Return the ``duration_hint`` of a pipe in seconds (default 1), or None where it makes no sense."""
    hint = tags.get("duration_hint", 1.0)
    try:
        seconds = float(hint)
    except (TypeError, ValueError):
        return None
    usable = math.isfinite(seconds) and seconds > 0 and not isinstance(hint, bool)
    return seconds if usable else None


def priority_weights(plan: ExecutionPlan) -> dict[str, int]:
    """Return each pipe's weight: larger is more urgent, and a producer's exceeds its consumers'."""
    graph = plan.graph
    remaining: dict[str, float] = {}
    for pipe_id in reversed(graph.topological_order):
        behind = max((remaining[p] for p in graph.get_dependents(pipe_id)), default=0.0)
        remaining[pipe_id] = behind + (duration_hint(graph.nodes[pipe_id].tags) or 1.0)
    return {p: min(_LARGEST_WEIGHT, max(1, math.ceil(remaining[p]))) for p in plan.pipe_ids}
