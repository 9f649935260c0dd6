"""What ``run`` does with the streams of a plan: how long they live, and where they keep count."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import TranslationError, WrongCallError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import data_flow
from kindling_airflow.tags.stream_checks import check_streams
from kindling_airflow.tags.stream_settings import Lifetime, seconds_of
from kindling_airflow.translator.stream_problems import trigger_problems
from kindling_airflow.translator.streams import Streaming, forward_plan, streaming_part

__all__ = ["StreamLife", "read_life"]


@dataclass(frozen=True, slots=True)
class StreamLife:
    """How the streams of a plan live.

    Attributes:
        plan: the plan, in forward order unless streams live on.
        streams: its streams; none in a plan of batch pipes.
        lives_on: whether they live until they are told to end.
        seconds: after how many seconds they are; None: when somebody says so.
        checkpoints: the root of their checkpoints; "" for the warehouse's own.
    """

    plan: ExecutionPlan
    streams: tuple[str, ...] = ()
    lives_on: bool = False
    seconds: float | None = None
    checkpoints: str = ""

    @property
    def catching_up(self) -> tuple[str, ...]:
        """The streams that take what is there and end."""
        return () if self.lives_on else self.streams


def read_life(source: Source, called: argparse.Namespace) -> StreamLife:
    """Return how the streams of a source live: as the command says, else as its definition does.

    Raises:
        WrongCallError: options that do not go together, or with the plan.
        TranslationError: streams that cannot run; lists every problem.
    """
    if called.run_for is not None and called.available_now:
        raise WrongCallError("--for and --available-now: streams do one or the other")
    lifetime, seconds = _lifetime(source, called)
    streaming = streaming_part(source.plan, lifetime, seconds)
    if streaming is None:
        for option in ("run_for", "available_now", "checkpoints"):
            if getattr(called, option):
                shown = {"run_for": "--for"}.get(option, f"--{option.replace('_', '-')}")
                raise WrongCallError(f"{shown} is for streams, and the plan has none")
        return StreamLife(source.plan)
    streams = tuple(streaming.settings)
    problems = [*_declared_problems(source, streaming), *trigger_problems(streaming)]
    if problems:
        raise TranslationError(problems)
    plan = source.plan
    return StreamLife(
        plan if streaming.lives_on else forward_plan(plan, data_flow(plan)),
        streams,
        streaming.lives_on,
        streaming.seconds,
        _checkpoints(source, called),
    )


def _lifetime(source: Source, called: argparse.Namespace) -> tuple[Lifetime | None, float | None]:
    if called.run_for is not None:
        try:
            seconds = seconds_of(called.run_for)
        except ValueError:
            seconds = 0.0
        if seconds <= 0:
            raise WrongCallError(f"--for {called.run_for!r}: write a duration such as 90s or 10m")
        return "bounded", seconds
    if called.available_now:
        return "available_now", None
    if source.definition is None:
        return None, None
    return source.definition.lifetime, source.definition.duration


def _declared_problems(source: Source, streaming: Streaming) -> list[str]:
    if source.project is None:
        return []
    declared = source.project.manifest
    found = map(declared.pipes.get_pipe_definition, source.plan.pipe_ids)
    pipes = [pipe for pipe in found if isinstance(pipe, PipeMetadata)]
    streams, lives_on = streaming.settings, streaming.lives_on
    return check_streams(pipes, declared.entities, streams, consumers_first=lives_on)


def _checkpoints(source: Source, called: argparse.Namespace) -> str:
    configured = source.definition.checkpoints if source.definition is not None else None
    said: str = called.checkpoints or configured or ""
    if called.checkpoints is None and "{{" in said:
        raise WrongCallError(
            f"the definition's checkpoints {said!r} is a template, which only Airflow can fill in: "
            "name another root with --checkpoints"
        )
    return said if not said or "://" in said else str(Path(said).resolve())
