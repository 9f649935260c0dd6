"""Priority by critical path: a narrow pool starts first what the end of the run waits for.

The weight of a pipe is the length of the longest path from it to a sink, itself included (the
"b-level" of list scheduling; T. L. Adam, K. M. Chandy and J. R. Dickson, CACM 17, 1974). Durations
are the ``duration_hint`` tags in whole seconds, rounded up, else 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kindling_airflow.execution_plan import ExecutionPlan

__all__ = ["duration_hint", "priority_weights"]

_LARGEST_WEIGHT = 2**31 - 1  # Airflow's database column


def duration_hint(tags: Mapping[str, Any]) -> float | None:
    """Return a pipe's ``duration_hint`` in seconds (default 1), or None where it makes no sense."""
    hint = tags.get("duration_hint", 1.0)
    try:
        seconds = float(hint)
    except (TypeError, ValueError, OverflowError):
        return None
    usable = math.isfinite(seconds) and seconds > 0 and not isinstance(hint, bool)
    return seconds if usable else None


def priority_weights(plan: ExecutionPlan) -> dict[str, int]:
    """Return each pipe's weight: larger is more urgent, and a producer's exceeds each consumer's.

    Args:
        plan: a valid plan of forward order; what its graph holds beyond the plan does not count.
    """
    weights: dict[str, int] = {}
    for generation in reversed(plan.generations):
        # Generations count up along every edge, so a ceiling that sinks with them keeps the order.
        ceiling = _LARGEST_WEIGHT - generation.number
        for pipe_id in generation:
            dependents = plan.graph.get_dependents(pipe_id)
            behind = max((weights[p] for p in dependents if p in weights), default=0)
            seconds = duration_hint(plan.graph.nodes[pipe_id].tags) or 1.0
            weights[pipe_id] = min(ceiling, behind + math.ceil(seconds))
    return weights
