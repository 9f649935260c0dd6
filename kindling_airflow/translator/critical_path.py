"""Priority by critical path: a narrow pool starts first what the end of the run waits for.

The weight of a pipe is the length of the longest path from it to a sink, itself included; see
:mod:`kindling_airflow.execution_plan.critical_path`. Behind a barrier all that follows waits for
the whole generation, so the path goes on through the longest pipe of each generation to come.
Durations are those of a file, else the ``duration_hint`` tags, else 1, in whole seconds, rounded
up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import DataFlow, data_flow, duration_hint
from kindling_airflow.translator.options import Barrier

_LARGEST_WEIGHT = 2**31 - 1  # Airflow's database column


def priority_weights(
    plan: ExecutionPlan,
    barrier: Barrier = Barrier.NONE,
    flow: DataFlow | None = None,
    durations: Mapping[str, float] = EMPTY,
) -> dict[str, int]:
    """Return each pipe's weight: larger is more urgent, and a producer's exceeds each consumer's.

    Args:
        plan: a valid plan of forward order; what its graph holds beyond the plan does not count.
        barrier: what pipes wait for beyond their inputs.
        flow: the data flow of the plan, where the caller has it already.
        durations: seconds by pipe id, in place of the tags.
    """
    nodes = plan.graph.nodes
    seconds = {
        p: math.ceil(durations.get(p) or duration_hint(nodes[p].tags) or 1.0) for p in plan.pipe_ids
    }
    if barrier == Barrier.GENERATION:
        remaining, behind = {}, 0
        for generation in reversed(plan.generations):
            remaining.update({pipe_id: seconds[pipe_id] + behind for pipe_id in generation})
            behind += max((seconds[pipe_id] for pipe_id in generation), default=0)
    else:
        remaining = (flow or data_flow(plan)).remaining(seconds)
    # Generations count up along every edge, so a ceiling that sinks with them keeps the order.
    return {
        pipe_id: min(remaining[pipe_id], _LARGEST_WEIGHT - generation.number)
        for generation in plan.generations
        for pipe_id in generation
    }
