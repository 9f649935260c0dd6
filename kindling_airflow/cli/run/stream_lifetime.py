"""The lifetime and the checkpoints of the streams of a ``run``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from kindling_airflow.cli.run.run_arguments import chosen_place
from kindling_airflow.cli.sources.source import Source
from kindling_airflow.common.durations import seconds_of
from kindling_airflow.definitions.plan_checks import stream_type_problems
from kindling_airflow.errors import TranslationError, WrongCallError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.tags.stream_settings import Lifetime
from kindling_airflow.translator.stream_problems import trigger_problems
from kindling_airflow.translator.streams import forward_plan, streaming_part


@dataclass(frozen=True, slots=True)
class StreamLifetime:
    """How long the streams of a plan run.

    Attributes:
        plan: the plan, in forward order unless streams are long-running.
        streams: its streams; none in a plan of batch pipes.
        is_long_running: whether they run until they are stopped.
        seconds: after how many seconds they are stopped; None: by Ctrl-C.
        checkpoints: the root of their checkpoints; "" for the warehouse's own.
    """

    plan: ExecutionPlan
    streams: tuple[str, ...] = ()
    is_long_running: bool = False
    seconds: float | None = None
    checkpoints: str = ""

    @property
    def catching_up(self) -> tuple[str, ...]:
        """The streams that process the available data and end."""
        return () if self.is_long_running else self.streams


def read_lifetime(source: Source, args: argparse.Namespace) -> StreamLifetime:
    """Return the lifetime of a source's streams: the command's, else the definition's.

    Raises:
        WrongCallError: options that exclude each other, or do not apply to the plan.
        TranslationError: streams cannot run; lists every problem.
    """
    if args.run_for is not None and args.available_now:
        raise WrongCallError("--for and --available-now exclude each other")
    lifetime, seconds = _lifetime(source, args)
    streaming = streaming_part(source.plan, lifetime, seconds)
    if streaming is None:
        for option in ("run_for", "available_now", "checkpoints"):
            if getattr(args, option):
                shown = {"run_for": "--for"}.get(option, f"--{option.replace('_', '-')}")
                raise WrongCallError(f"{shown} applies to streams, and the plan has none")
        return StreamLifetime(source.plan)
    streams = tuple(streaming.settings)
    plan, project = source.plan, source.project
    problems = [] if project is None else stream_type_problems(plan, project.manifest, streaming)
    problems += trigger_problems(streaming)
    if problems:
        raise TranslationError(problems)
    return StreamLifetime(
        plan if streaming.is_long_running else forward_plan(plan),
        streams,
        streaming.is_long_running,
        streaming.seconds,
        chosen_place("checkpoints", source, args),
    )


def _lifetime(source: Source, args: argparse.Namespace) -> tuple[Lifetime | None, float | None]:
    if args.run_for is not None:
        try:
            seconds = seconds_of(args.run_for)
        except ValueError:
            seconds = 0.0
        if seconds <= 0:
            raise WrongCallError(f"--for {args.run_for!r}: must be a duration such as 90s or 10m")
        return "bounded", seconds
    if args.available_now:
        return "available_now", None
    if source.definition is None:
        return None, None
    return source.definition.lifetime, source.definition.duration
