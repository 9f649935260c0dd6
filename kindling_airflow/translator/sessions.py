"""The sessions of a plan: which pipes share a driver, and whether they can.

Pipes share what a driver is started with (connection, Spark properties, memory, packages, queue of
the worker, ...). What only concerns the pipe's own task (pool, retries, priority, callbacks, ...)
may differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from kindling_airflow.cache_optimizer import CacheLevel, recommend_cache
from kindling_airflow.common.immutable import FrozenDict, canonical_json, thaw
from kindling_airflow.common.shared_ids import DEFAULT_POOL
from kindling_airflow.common.wording import first_of, some_pipes
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.translator.dag_spec import SessionSpec
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.session_names import session_task_id
from kindling_airflow.translator.session_settings import (
    driver_settings,
    session_of,
    session_settings,
)
from kindling_airflow.translator.task_settings import TaskSettings

__all__ = [
    "members_of",
    "session_pool_problems",
    "session_problems",
    "session_specs",
]

_CLUSTER = "cluster"
_WEIGHT = 2**31 - 1  # the greatest of Airflow: pipes wait for their session
_MOST_NAMED = 4


def members_of(
    settings: Mapping[str, TaskSettings], streams: Collection[str] = ()
) -> dict[str, list[str]]:
    """Return the pipes of each session by its name, in the order of the plan.

    Args:
        settings: those of each pipe.
        streams: the pipes that are streams, which have their own drivers.
    """
    found: dict[str, list[str]] = {}
    for pipe_id, own in settings.items():
        name = session_of(own, is_stream=pipe_id in streams)
        if name:
            found.setdefault(name, []).append(pipe_id)
    return found


def session_problems(
    settings: Mapping[str, TaskSettings], streams: Collection[str] = ()
) -> Iterator[str]:
    """Yield which pipes cannot share the session that they are to share."""
    for name, pipe_ids in members_of(settings, streams).items():
        kinds = {pipe_id: driver_settings(settings[pipe_id]) for pipe_id in pipe_ids}
        keys = {pipe_id: canonical_json(thaw(kind)) for pipe_id, kind in kinds.items()}
        usual, _ = Counter(keys.values()).most_common(1)[0]
        common = next(kinds[pipe_id] for pipe_id in pipe_ids if keys[pipe_id] == usual)
        yield from _cluster_problem(name, pipe_ids, kinds)
        by_difference: dict[str, list[str]] = {}
        for pipe_id in pipe_ids:
            if keys[pipe_id] != usual:
                text = _difference(common, kinds[pipe_id])
                by_difference.setdefault(text, []).append(pipe_id)
        for text, members in by_difference.items():
            yield (
                f"{some_pipes(members)} overrides {text} and cannot share session {name!r}\n"
                "  Fix: set 'session: pipe', or the name of another session, in the same override."
            )


def session_pool_problems(
    settings: Mapping[str, TaskSettings], pool: str, width: int | None, streams: Collection[str]
) -> Iterator[str]:
    """Yield what is wrong with the pool of the sessions' tasks.

    Args:
        settings: those of each pipe.
        pool: the pool.
        width: its slots; None if nothing sets them.
        streams: the pipes that are streams.
    """
    members = [p for found in members_of(settings, streams).values() for p in found]
    if not members or pool == DEFAULT_POOL:
        return
    if width is None:
        yield f"session_pool {pool!r} has no width\n  Fix: set its slots: 'pools: {{{pool}: 4}}'."
    inside = [pipe_id for pipe_id in members if settings[pipe_id].pool == pool]
    if inside:
        yield (
            f"session_pool {pool!r} is also the pool of {some_pipes(inside)}: sessions would hold "
            "slots that their own pipes wait for\n"
            "  Fix: name another pool."
        )


def _cluster_problem(
    name: str, pipe_ids: Sequence[str], kinds: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    keys = ("spark.deploy_mode", "arguments.deploy_mode", "spark.conf 'spark.submit.deployMode'")
    remote = [p for p in pipe_ids if any(kinds[p].get(key) == _CLUSTER for key in keys)]
    if remote:
        yield (
            f"{some_pipes(remote)} has deploy mode 'cluster' and cannot share session {name!r}: "
            "its driver runs where tasks cannot reach it\n"
            "  Fix: set 'session: pipe' for it, or 'deploy_mode: client'."
        )


def _difference(common: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    keys = [k for k in {**common, **own} if common.get(k) != own.get(k)]
    return first_of(sorted(keys), _MOST_NAMED)


def session_specs(
    graph: PipeGraph,
    settings: Mapping[str, TaskSettings],
    ids: Mapping[str, str],
    options: TranslateOptions,
    streams: Collection[str] = (),
) -> tuple[SessionSpec, ...]:
    """Return the sessions of a plan, sorted by name.

    Args:
        graph: the graph of the plan's pipes.
        settings: those of each pipe; free of :func:`session_problems`.
        ids: the task id of each pipe.
        options: the deployment's.
        streams: the pipes that are streams.
    """
    return tuple(
        [
            _spec(name, pipe_ids, graph, settings[pipe_ids[0]], ids, options=options)
            for name, pipe_ids in sorted(members_of(settings, streams).items())
        ]
    )


def _spec(
    name: str,
    pipe_ids: Sequence[str],
    graph: PipeGraph,
    like: TaskSettings,
    ids: Mapping[str, str],
    *,
    options: TranslateOptions,
) -> SessionSpec:
    pipe_ids = tuple(pipe_ids)
    return SessionSpec(
        task_id=session_task_id(name),
        name=name,
        label=f"session {name}",
        pipe_ids=pipe_ids,
        task_ids=tuple([ids[pipe_id] for pipe_id in pipe_ids]),
        priority_weight=_WEIGHT,
        settings=session_settings(like, options),
        doc=f"The Spark driver that {some_pipes(pipe_ids)} share. It ends when they have ended; a "
        "pipe that cannot reach it starts its own driver.",
        shared=tuple(_shared(graph, pipe_ids, options.memory_budget)),
    )


def _shared(graph: PipeGraph, pipe_ids: Sequence[str], budget: int | None) -> Iterator[FrozenDict]:
    """Yield what is worth keeping between pipes, as the plan recommends it within a budget.

    What a pipe outside of the session writes is not kept: the session does not learn when it is
    written again.
    """
    members = set(pipe_ids)
    for found in recommend_cache(graph, pipe_ids, memory_budget_bytes=budget):
        writer = graph.entity_producers.get(found.entity_id, "")
        if found.level is not CacheLevel.NONE and (not writer or writer in members):
            yield FrozenDict(
                entity_id=found.entity_id,
                level=found.level.value,
                readers=found.consumers,
                writer=writer,
            )
