"""Checks of plans with long-running streams.

Each stream holds its slots for as long as the run lasts, so its pool needs room for all of them at
once, and in a hybrid plan for the largest batch pipe besides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from kindling_airflow.common.wording import some_pipes
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.tags.stream_settings import Lifetime, is_stream
from kindling_airflow.translator.options import UNLIMITED, Barrier, OnError, TranslateOptions
from kindling_airflow.translator.streams import Streaming
from kindling_airflow.translator.task_settings import TaskSettings


def lifetime_problem(
    plan: ExecutionPlan, lifetime: Lifetime | None, streaming: Streaming | None
) -> str | None:
    """Return why a plan cannot have the lifetime that the deployment sets."""
    if lifetime is None or streaming is not None:
        return None
    tagged = [p for p in plan.pipe_ids if is_stream(plan.graph.nodes[p].tags)]
    if tagged:
        return (
            f"{lifetime!r} is for streams, and a plan of strategy {plan.strategy!r} runs "
            f"{some_pipes(tagged)} as a batch pipe\n"
            "  Fix: use strategy 'config_based', or lifetime 'available_now'."
        )
    return (
        f"{lifetime!r} is for streams, and the plan has none\n"
        "  Fix: tag the pipes that stream with processing_mode: streaming, or remove it."
    )


def option_problems(
    plan: ExecutionPlan, streaming: Streaming, options: TranslateOptions
) -> Iterator[str]:
    """Yield the options that long-running streams do not support."""
    if not streaming.is_long_running:
        return
    usual, on_error = OnError.SKIP_DEPENDENTS, options.on_error
    has_batch = len(streaming.settings) < len(plan.pipe_ids)
    if on_error != usual and not (has_batch and on_error == OnError.FAIL_FAST):
        yield (
            f"on_error {on_error.value!r} is not supported here: once a stream has failed "
            "permanently, all streams of the run are stopped\n"
            f"  Fix: use {usual.value!r}, the default."
        )
    if options.barrier != Barrier.NONE:
        yield (
            f"barrier {options.barrier.value!r} is not supported here: streams do not end, and "
            "each generation of them has a gate\n  Fix: remove it."
        )
    if options.group_by != "generation":
        yield (
            f"group_by {options.group_by!r} is not supported with streams: each generation of them "
            "has its gate\n  Fix: use group_by 'generation'."
        )
    yield from trigger_problems(streaming)


def trigger_problems(streaming: Streaming) -> Iterator[str]:
    """Yield the long-running streams whose trigger would end them."""
    if not streaming.is_long_running:
        return
    yield from (
        f"pipe {pipe_id!r}: tag stream.trigger is 'available_now', so it would end before its "
        f"input does, and the lifetime is {streaming.lifetime!r}\n"
        "  Fix: use lifetime 'available_now' for the whole plan, or another trigger."
        for pipe_id, own in streaming.settings.items()
        if own.trigger.kind == "available_now"
    )


def task_problems(
    streaming: Streaming, settings: Mapping[str, TaskSettings], options: TranslateOptions
) -> Iterator[str]:
    """Yield the settings of tasks that would end or block long-running streams."""
    if not streaming.is_long_running:
        return
    yield from _slot_problems(streaming, settings, options)
    in_clusters: list[str] = []
    limited: dict[float, list[str]] = defaultdict(list)
    for pipe_id in streaming.settings:
        own = settings[pipe_id]
        if _is_in_cluster(own):
            in_clusters.append(pipe_id)
        limit = own.execution_timeout_seconds
        if limit is not None and (streaming.seconds is None or limit <= streaming.seconds):
            limited[limit].append(pipe_id)
    if in_clusters:
        yield (
            f"{some_pipes(in_clusters)} would run in cluster mode, where a driver can neither "
            "report that its stream is ready nor be asked to stop\n"
            "  Fix: set deploy_mode: client for streams; their executors may be anywhere."
        )
    for limit, pipe_ids in limited.items():
        yield (
            f"{some_pipes(pipe_ids)} may run for {limit:g} s (execution_timeout_seconds), but its "
            f"stream runs {streaming.length()}\n"
            "  Fix: remove the limit; lifetime and duration set how long streams run."
        )


def _slot_problems(
    streaming: Streaming, settings: Mapping[str, TaskSettings], options: TranslateOptions
) -> Iterator[str]:
    streams: dict[str, list[int]] = defaultdict(list)
    batch: dict[str, int] = defaultdict(int)
    for pipe_id, own in settings.items():
        if pipe_id in streaming.settings:
            streams[own.pool].append(own.pool_slots)
        else:
            batch[own.pool] = max(batch[own.pool], own.pool_slots)
    for pool, slots in streams.items():
        width, taken, more = options.width_of(pool), sum(slots), batch[pool]
        needed = taken + more
        if width is None or width == UNLIMITED or needed <= width:
            continue
        also = f", and the largest batch pipe takes {more} more" if more else ""
        holders = "one stream takes" if len(slots) == 1 else f"{len(slots)} streams take"
        key = "width" if pool == options.pool else f"pools: {{{pool}}}"
        yield (
            f"pool {pool!r} has a width of {width}, but its {holders} {taken} for as long as the "
            f"run lasts{also}: some would wait forever\n"
            f"  Fix: raise {key} to {needed} at least, or lower the slots per pipe."
        )


def _is_in_cluster(settings: TaskSettings) -> bool:
    spark = settings.spark
    conf = spark.get("conf") or {}
    mode = spark.get("deploy_mode") or conf.get("spark.submit.deployMode")
    return bool(mode == "cluster")
