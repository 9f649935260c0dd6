"""The two parts of a plan: pipes that are started as streams, and pipes that run to their end.

[ingest] ~> [clean] ~> [alert]          streams of a hybrid plan: alert, clean, ingest
               |
               +-----> daily            its batch pipes: daily
"""

from __future__ import annotations

from dataclasses import replace

from kindling_airflow.execution_plan import ExecutionPlan, Generation


def stream_part(plan: ExecutionPlan) -> tuple[Generation, ...]:
    """Return the generations to start as streams, without the batch pipes of a hybrid plan."""
    if plan.direction() != "hybrid":
        return plan.generations
    return _only(plan, frozenset(plan.streaming_pipes()))


def batch_part(plan: ExecutionPlan) -> ExecutionPlan | None:
    """Return the batch pipes of a hybrid plan, in their generations; None where there are none.

    Generations keep their numbers, so they need not begin with 0.
    """
    if plan.direction() != "hybrid":
        return None
    streams = frozenset(plan.streaming_pipes())
    batch = tuple([pipe_id for pipe_id in plan.pipe_ids if pipe_id not in streams])
    return (
        replace(plan, pipe_ids=batch, generations=_only(plan, frozenset(batch))) if batch else None
    )


def _only(plan: ExecutionPlan, pipe_ids: frozenset[str]) -> tuple[Generation, ...]:
    kept = (replace(g, pipe_ids=tuple([p for p in g if p in pipe_ids])) for g in plan.generations)
    return tuple([generation for generation in kept if generation.pipe_ids])
