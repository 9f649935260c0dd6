"""What the caller, the pipes' tags and the overrides say about a run, resolved before it begins.

The more specific one wins: the arguments of the call, then the pipe's own tags, then the call's
``overrides`` for that pipe. Every bad value is found before anything runs.

| tag or override | meaning |
|---|---|
| ``retry.attempts`` | how often a failed pipe is tried again |
| ``retry.interval_seconds`` | how long to wait before each further try |
| ``timeout_seconds`` | how long one try may take; null: without limit |
| ``retry.backoff`` | the factor by which the waits grow; in overrides alone |
| ``retry.max_interval_seconds`` | how far they may grow; null: a day; in overrides alone |
| ``stream.ready_timeout`` | until a stream is ready |
| ``stream.drain_timeout`` | until a stream that is to stop has worked off what has arrived |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kindling_airflow.common.frozen import EMPTY
from kindling_airflow.errors import ExecutionError, did_you_mean
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.tags.stream_settings import seconds_of

__all__ = [
    "BatchOptions",
    "ErrorStrategy",
    "PipeOptions",
    "RetryPolicy",
    "StreamLimits",
    "StreamingOptions",
    "pipe_options",
    "stream_limits",
]

_TIMEOUT_TAG = "timeout_seconds"
_STREAM_TAGS = (("ready", "stream.ready_timeout"), ("drain", "stream.drain_timeout"))
_ATTEMPTS_TAG = "retry.attempts"
_INTERVAL_TAG = "retry.interval_seconds"
_BACKOFF = "retry.backoff"
_LONGEST = "retry.max_interval_seconds"
_DAY = 86_400.0


class ErrorStrategy(str, Enum):
    """What a failed pipe means for the others."""

    FAIL_FAST = "fail_fast"
    """Nothing more is started; what runs may end."""
    CONTINUE = "continue"
    """Everything runs, whatever failed."""
    SKIP_DEPENDENTS = "skip_dependents"
    """What depends on it, directly or not, is not run; everything else is."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed pipe is tried again.

    Attributes:
        attempts: how many further tries there are; 0 for none.
        interval_seconds: how long to wait before the first of them.
        backoff: the factor by which each further wait is longer than the one before.
        max_interval_seconds: how long a wait may become; None: a day.
    """

    attempts: int = 0
    interval_seconds: float = 30.0
    backoff: float = 1.0
    max_interval_seconds: float | None = None

    def __post_init__(self) -> None:
        problems = [
            *_bad("attempts", self.attempts, _COUNT),
            *_bad("interval_seconds", self.interval_seconds, _SECONDS),
            *_bad("backoff", self.backoff, _FACTOR),
            *_bad("max_interval_seconds", self.max_interval_seconds, _LIMIT),
        ]
        if problems:
            raise ExecutionError(f"retry policy: {problem}" for problem in problems)

    def wait_after(self, attempt: int) -> float:
        """Return how many seconds to wait after a failed try; the first try is number 1.

        >>> policy = RetryPolicy(3, 10, backoff=2, max_interval_seconds=30)
        >>> [policy.wait_after(attempt) for attempt in (1, 2, 3)]
        [10.0, 20.0, 30.0]
        """
        wait = float(self.interval_seconds)
        longest = max(_DAY, wait)
        if wait and self.backoff != 1:
            for _ in range(attempt - 1):
                wait = min(wait * self.backoff, longest)
                if wait in (0, longest):
                    break
        most = self.max_interval_seconds
        return wait if most is None else min(wait, float(most))


@dataclass(frozen=True, slots=True)
class PipeOptions:
    """What holds for one pipe: its retries, and how long a try may take (None: no limit)."""

    retry: RetryPolicy
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What holds for a run; see :meth:`GenerationExecutor.execute` for the fields.

    Raises:
        ExecutionError: listing every value that makes no sense.
    """

    parallel: bool = False
    max_workers: int = 4
    error_strategy: ErrorStrategy | str = ErrorStrategy.SKIP_DEPENDENTS
    pipe_timeout: float | None = None
    retry_attempts: int = 0
    retry_interval_seconds: float = 30.0
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        problems = [
            *_bad("parallel", self.parallel, _FLAG),
            *_bad("max_workers", self.max_workers, _WORKERS),
            *_bad("pipe_timeout", self.pipe_timeout, _LIMIT),
            *_bad("retry_attempts", self.retry_attempts, _COUNT),
            *_bad("retry_interval_seconds", self.retry_interval_seconds, _SECONDS),
        ]
        strategies = [strategy.value for strategy in ErrorStrategy]
        if self.error_strategy not in strategies:
            said = self.error_strategy
            problems.append(
                f"error_strategy: unknown value {said!r}.{did_you_mean(str(said), strategies)}\n"
                f"  Fix: use one of {', '.join(strategies)}."
            )
        if not isinstance(self.overrides, Mapping):
            problems.append(
                f"overrides must map pipe ids to options, not {self.overrides!r}\n"
                "  Fix: write them like {'gold.sales': {'timeout_seconds': 600}}."
            )
        if problems:
            raise ExecutionError(problems)

    @classmethod
    def of(cls, said: BatchOptions | Mapping[str, Any]) -> BatchOptions:
        """Return options given as such, or by name.

        Raises:
            ExecutionError: unknown names, or values that make no sense.
        """
        return said if isinstance(said, BatchOptions) else cls(**_known(cls, said, "batch"))

    @property
    def width(self) -> int:
        """How many pipes may run at once."""
        return self.max_workers if self.parallel else 1


@dataclass(frozen=True, slots=True)
class StreamingOptions:
    """How streams are started and stopped; all in seconds.

    Attributes:
        ready_timeout: how long a stream may take from its start until it is ready.
        drain_timeout: how long it may take to work off what has arrived before it is stopped.
        stop_timeout: how long it may take to stop.
        poll_seconds: how often streams are asked how they are.

    Raises:
        ExecutionError: listing every value that makes no sense.
    """

    ready_timeout: float = 600.0
    drain_timeout: float = 300.0
    stop_timeout: float = 30.0
    poll_seconds: float = 0.5

    def __post_init__(self) -> None:
        names = self.__dataclass_fields__
        problems = [p for name in names for p in _bad(name, getattr(self, name), _POSITIVE)]
        if problems:
            raise ExecutionError(problems)

    @classmethod
    def of(cls, said: StreamingOptions | Mapping[str, float]) -> StreamingOptions:
        """Return options given as such, or by name.

        Raises:
            ExecutionError: unknown names, or values that make no sense.
        """
        return said if isinstance(said, StreamingOptions) else cls(**_known(cls, said, "streaming"))


def _known(
    options: type[BatchOptions | StreamingOptions], said: Mapping[str, Any], what: str
) -> Mapping[str, Any]:
    """Return options by name as they are; raises if one is unknown."""
    known = options.__dataclass_fields__
    if not isinstance(said, Mapping):
        problem = (
            f"{what}_options must be a mapping or {options.__name__}, not {said!r}\n"
            f"  Fix: give some of {', '.join(known)}, or leave them out."
        )
        raise ExecutionError([problem])
    problems = [
        f"unknown {what} option {name!r}.{did_you_mean(str(name), known)}\n"
        f"  Fix: use one of {', '.join(known)}."
        for name in said
        if name not in known
    ]
    if problems:
        raise ExecutionError(problems)
    return said


def pipe_options(plan: ExecutionPlan, options: BatchOptions) -> dict[str, PipeOptions]:
    """Return what holds for each pipe of a plan.

    Raises:
        ExecutionError: listing every bad tag and override, pipes that are not in the plan included.
    """
    problems = _override_problems(plan, options.overrides, tuple(_OVERRIDE_KEYS))
    run = PipeOptions(
        RetryPolicy(options.retry_attempts, options.retry_interval_seconds), options.pipe_timeout
    )
    found = {}
    for pipe_id in plan.pipe_ids:
        said, wrong = _said(plan, pipe_id, options.overrides)
        problems += wrong
        if said and not problems:
            policy = RetryPolicy(
                int(said.get(_ATTEMPTS_TAG, run.retry.attempts)),
                said.get(_INTERVAL_TAG, run.retry.interval_seconds),
                said.get(_BACKOFF, run.retry.backoff),
                said.get(_LONGEST, run.retry.max_interval_seconds),
            )
            found[pipe_id] = PipeOptions(policy, said.get(_TIMEOUT_TAG, run.timeout_seconds))
        else:
            found[pipe_id] = run
    if problems:
        raise ExecutionError(problems)
    return found


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many seconds a stream may take until it is ready, and to work off what has arrived."""

    ready: float
    drain: float


def stream_limits(plan: ExecutionPlan, options: StreamingOptions) -> dict[str, StreamLimits]:
    """Return what holds for each pipe of a plan, were it started as a stream.

    Raises:
        ExecutionError: listing every bad tag.
    """
    problems: list[str] = []
    found = {}
    for pipe_id in plan.pipe_ids:
        limits = {"ready": options.ready_timeout, "drain": options.drain_timeout}
        tags = plan.graph.nodes[pipe_id].tags
        for name, tag in _STREAM_TAGS:
            if tag in tags:
                try:
                    limits[name] = _positive_duration(tags[tag])
                except ValueError:
                    problems.append(
                        f"pipe {pipe_id!r}: tag {tag} must be a duration above 0, not "
                        f"{tags[tag]!r}\n  Fix: write it like '30s' or '10m'."
                    )
        found[pipe_id] = StreamLimits(**limits)
    if problems:
        raise ExecutionError(problems)
    return found


def _positive_duration(said: object) -> float:
    seconds = seconds_of(said)
    if seconds <= 0:
        raise ValueError(said)
    return seconds


def _said(
    plan: ExecutionPlan, pipe_id: str, overrides: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Return a pipe's own settings as numbers, and what is wrong with them."""
    tags = plan.graph.nodes[pipe_id].tags
    said_here = overrides.get(pipe_id)
    own = said_here if isinstance(said_here, Mapping) else EMPTY
    if not own and not any(key in tags for key in _BATCH_KEYS):
        return {}, []
    said: dict[str, Any] = {}
    problems = []
    for where, source, keys in (("tag", tags, _BATCH_KEYS), ("override", own, _OVERRIDE_KEYS)):
        for key, kind in keys.items():
            if key in source:
                value = _number(source[key])
                problems += [f"pipe {pipe_id!r}: {where} {p}" for p in _bad(key, value, kind)]
                said[key] = value
    return said, problems


def _override_problems(
    plan: ExecutionPlan, overrides: Mapping[str, Mapping[str, Any]], keys: tuple[str, ...]
) -> list[str]:
    known = set(plan.pipe_ids)
    problems = []
    for pipe_id, said in overrides.items():
        if not isinstance(said, Mapping):
            problems.append(
                f"overrides: pipe {pipe_id!r} has {said!r} where settings belong\n"
                "  Fix: write them as a mapping, such as {'timeout_seconds': 600}."
            )
            continue
        if pipe_id not in known:
            hint = did_you_mean(str(pipe_id), known)
            problems.append(
                f"overrides: pipe {pipe_id!r} is not in the plan.{hint}\n"
                "  Fix: correct the id, or remove the override."
            )
        problems += [
            f"pipe {pipe_id!r}: unknown override {key!r}.{did_you_mean(str(key), keys)}\n"
            f"  Fix: use one of {', '.join(keys)}."
            for key in said
            if key not in keys
        ]
    return problems


def _number(value: Any) -> Any:
    """Return a number that is written as text (as tags often are) as a number."""
    if not isinstance(value, str):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return value


_Kind = tuple[str, Callable[[Any], bool]]


def _finite(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FLAG: _Kind = ("True or False", lambda v: isinstance(v, bool))
_COUNT: _Kind = ("a whole number from 0", lambda v: _whole(v) and v >= 0)
_WORKERS: _Kind = ("a whole number from 1", lambda v: _whole(v) and v >= 1)
_SECONDS: _Kind = ("a number of seconds from 0", lambda v: _finite(v) and v >= 0)
_POSITIVE: _Kind = ("a number of seconds above 0", lambda v: _finite(v) and v > 0)
_LIMIT: _Kind = (
    "a number of seconds above 0, or None for no limit",
    lambda v: v is None or (_finite(v) and v > 0),
)
_FACTOR: _Kind = ("a number above 0", lambda v: _finite(v) and v > 0)
_BATCH_KEYS = {_TIMEOUT_TAG: _LIMIT, _ATTEMPTS_TAG: _COUNT, _INTERVAL_TAG: _SECONDS}
_OVERRIDE_KEYS = {**_BATCH_KEYS, _BACKOFF: _FACTOR, _LONGEST: _LIMIT}


def _bad(name: str, value: Any, kind: _Kind) -> list[str]:
    description, fits = kind
    return [] if fits(value) else [f"{name} must be {description}, not {value!r}"]
