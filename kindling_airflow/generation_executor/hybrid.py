"""The two halves of a plan: the pipes that are started as streams, and those that run to their end.

[ingest] ~> [clean] ~> [alert]          streams of a hybrid plan: alert, clean, ingest
               |
               +-----> daily            its batch pipes: daily
"""

from __future__ import annotations

from dataclasses import replace

from kindling_airflow.execution_plan import ExecutionPlan, Generation


def stream_half(plan: ExecutionPlan) -> tuple[Generation, ...]:
    """Return the generations to start as streams, with the streams alone in them.

    That is every generation, but for a hybrid plan, whose metadata says which pipes stream.
    """
    if plan.direction() != "hybrid":
        return plan.generations
    streams = frozenset(plan.streaming_pipes())
    return _of_these(plan.generations, streams)


def batch_half(plan: ExecutionPlan) -> ExecutionPlan | None:
    """Return the batch pipes of a hybrid plan, in their generations; None where there are none.

    Generations keep their numbers, so they need not begin with 0.
    """
    if plan.direction() != "hybrid":
        return None
    streams = frozenset(plan.streaming_pipes())
    batch = tuple([pipe_id for pipe_id in plan.pipe_ids if pipe_id not in streams])
    if not batch:
        return None
    generations = _of_these(plan.generations, frozenset(batch))
    return replace(plan, pipe_ids=batch, generations=generations)


def _of_these(
    generations: tuple[Generation, ...], pipe_ids: frozenset[str]
) -> tuple[Generation, ...]:
    kept = (replace(g, pipe_ids=tuple([p for p in g if p in pipe_ids])) for g in generations)
    return tuple([generation for generation in kept if generation.pipe_ids])
