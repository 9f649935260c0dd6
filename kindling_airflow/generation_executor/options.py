"""Options of a run from the call, the pipes' tags and the overrides, resolved before it begins.

The more specific one wins: the arguments of the call, then the pipe's own tags, then the call's
``overrides`` for that pipe. Every bad value is found before anything runs.

| tag or override | meaning |
|---|---|
| ``retry.attempts`` | how often a failed pipe is retried |
| ``retry.interval_seconds`` | how long to wait before each retry |
| ``timeout_seconds`` | how long one attempt may take; null: without limit |
| ``retry.backoff`` | the factor by which the waits grow; in overrides only |
| ``retry.max_interval_seconds`` | how far they may grow; null: a day; in overrides only |
| ``stream.ready_timeout`` | until a stream is ready |
| ``stream.drain_timeout`` | until a stream that is to stop has processed what has arrived |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kindling_airflow.common.durations import seconds_of
from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.shared_ids import ErrorStrategy
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.errors import ExecutionError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.tags.names import ATTEMPTS_TAG, RETRY_INTERVAL_TAG, TIMEOUT_TAG
from kindling_airflow.tags.registry import read_task_tags
from kindling_airflow.tags.values import BOOLEAN, COUNT, Value, as_number, whole

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

T = TypeVar("T")

_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed pipe is retried.

    Attributes:
        attempts: how many retries there are; 0 for none.
        interval_seconds: how long to wait before the first of them.
        backoff: the factor by which each further wait is longer than the one before.
        max_interval_seconds: how long a wait may become; None: a day.
    """

    attempts: int = 0
    interval_seconds: float = 30.0
    backoff: float = 1.0
    max_interval_seconds: float | None = None

    def __post_init__(self) -> None:
        kinds = {
            "attempts": COUNT,
            "interval_seconds": _SECONDS,
            "backoff": _FACTOR,
            "max_interval_seconds": _LIMIT,
        }
        Problems(f"retry policy: {problem}" for problem in _misfits(self, kinds)).raise_if_any()

    def wait_after(self, attempt: int) -> float:
        """Return how many seconds to wait after a failed attempt; the first one is number 1.

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
    """The options of one pipe: its retries, and how long an attempt may take (None: no limit)."""

    retry: RetryPolicy
    timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The options of a run; see :meth:`GenerationExecutor.execute` for the fields.

    Raises:
        ExecutionError: listing every invalid value.
    """

    parallel: bool = False
    max_workers: int = 4
    error_strategy: ErrorStrategy | str = ErrorStrategy.SKIP_DEPENDENTS
    pipe_timeout: float | None = None
    retry_attempts: int = 0
    retry_interval_seconds: float = 30.0
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        kinds = {
            "parallel": BOOLEAN,
            "max_workers": _WORKERS,
            "pipe_timeout": _LIMIT,
            "retry_attempts": COUNT,
            "retry_interval_seconds": _SECONDS,
        }
        problems = Problems(_misfits(self, kinds))
        known, given = [strategy.value for strategy in ErrorStrategy], self.error_strategy
        if given not in known:
            problems.append(
                f"error_strategy: unknown value {given!r}.{did_you_mean(str(given), known)}\n"
                f"  Fix: use one of {', '.join(known)}."
            )
        if not isinstance(self.overrides, Mapping):
            problems.append(
                f"overrides must map pipe ids to options, not {self.overrides!r}\n"
                "  Fix: write them like {'gold.sales': {'timeout_seconds': 600}}."
            )
        problems.raise_if_any()

    @classmethod
    def of(cls, given: BatchOptions | Mapping[str, Any]) -> BatchOptions:
        """Return options given as such, or by name.

        Raises:
            ExecutionError: unknown names, or invalid values.
        """
        return given if isinstance(given, BatchOptions) else cls(**_known(cls, given, "batch"))

    @property
    def width(self) -> int:
        """How many pipes may run at once."""
        return self.max_workers if self.parallel else 1


@dataclass(frozen=True, slots=True)
class StreamingOptions:
    """How streams are started and stopped; all in seconds.

    Attributes:
        ready_timeout: how long a stream may take from its start until it is ready.
        drain_timeout: how long it may take to process what has arrived before it is stopped.
        stop_timeout: how long it may take to stop.
        poll_seconds: how often the state of streams is polled.

    Raises:
        ExecutionError: listing every invalid value.
    """

    ready_timeout: float = 600.0
    drain_timeout: float = 300.0
    stop_timeout: float = 30.0
    poll_seconds: float = 0.5

    def __post_init__(self) -> None:
        kinds = dict.fromkeys(self.__dataclass_fields__, _POSITIVE)
        Problems(_misfits(self, kinds)).raise_if_any()

    @classmethod
    def of(cls, given: StreamingOptions | Mapping[str, float]) -> StreamingOptions:
        """Return options given as such, or by name.

        Raises:
            ExecutionError: unknown names, or invalid values.
        """
        if isinstance(given, StreamingOptions):
            return given
        return cls(**_known(cls, given, "streaming"))


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How many seconds a stream may take until it is ready, and to process what has arrived."""

    ready: float
    drain: float


class Problems(list[str]):
    """The problems of a call, collected to be reported at once."""

    def of(self, make: Callable[[], T], otherwise: T) -> T:
        """Return what is made, or something else where the options are invalid."""
        try:
            return make()
        except ExecutionError as error:
            self.extend(error.problems)
            return otherwise

    def raise_if_any(self) -> None:
        """Raise an ``ExecutionError`` that lists them."""
        if self:
            raise ExecutionError(self)


def pipe_options(plan: ExecutionPlan, options: BatchOptions) -> dict[str, PipeOptions]:
    """Return the options of each pipe of a plan.

    Raises:
        ExecutionError: listing every bad tag and override, pipes that are not in the plan included.
    """
    problems = Problems(_override_problems(plan, options.overrides))
    run = PipeOptions(
        RetryPolicy(options.retry_attempts, options.retry_interval_seconds), options.pipe_timeout
    )
    found = {}
    for pipe_id in plan.pipe_ids:
        own, wrong = _own_options(plan, pipe_id, options.overrides)
        problems += wrong
        found[pipe_id] = run
        if own and not problems:
            policy = RetryPolicy(
                int(own.get(ATTEMPTS_TAG, run.retry.attempts)),
                own.get(RETRY_INTERVAL_TAG, run.retry.interval_seconds),
                own.get(_BACKOFF, run.retry.backoff),
                own.get(_LONGEST, run.retry.max_interval_seconds),
            )
            found[pipe_id] = PipeOptions(policy, own.get(TIMEOUT_TAG, run.timeout_seconds))
    problems.raise_if_any()
    return found


def stream_limits(plan: ExecutionPlan, options: StreamingOptions) -> dict[str, StreamLimits]:
    """Return the limits of each pipe of a plan, were it started as a stream.

    Raises:
        ExecutionError: listing every bad tag.
    """
    problems = Problems()
    found = {}
    for pipe_id in plan.pipe_ids:
        limits = {"ready": options.ready_timeout, "drain": options.drain_timeout}
        tags = plan.graph.nodes[pipe_id].tags
        for name in limits:
            tag = f"stream.{name}_timeout"
            if tag in tags:
                seconds = _seconds(tags[tag])
                if seconds <= 0:
                    problems.append(
                        f"pipe {pipe_id!r}: tag {tag} must be a duration above 0, not "
                        f"{tags[tag]!r}\n  Fix: write it like '30s' or '10m'."
                    )
                limits[name] = seconds
        found[pipe_id] = StreamLimits(**limits)
    problems.raise_if_any()
    return found


def _seconds(duration: object) -> float:
    """Return a duration in seconds; 0 for what is not a duration."""
    try:
        return seconds_of(duration)
    except ValueError:
        return 0.0


def _known(
    options: type[BatchOptions | StreamingOptions], given: Mapping[str, Any], what: str
) -> Mapping[str, Any]:
    """Return options by name unchanged; raises if one is unknown."""
    known = options.__dataclass_fields__
    if not isinstance(given, Mapping):
        problem = (
            f"{what}_options must be a mapping or {options.__name__}, not {given!r}\n"
            f"  Fix: pass any of {', '.join(known)}, or omit them."
        )
        raise ExecutionError([problem])
    Problems(
        f"unknown {what} option {name!r}.{did_you_mean(str(name), known)}\n"
        f"  Fix: use one of {', '.join(known)}."
        for name in given
        if name not in known
    ).raise_if_any()
    return given


def _own_options(
    plan: ExecutionPlan, pipe_id: str, overrides: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    """Return a pipe's own options as numbers, and what is wrong with them."""
    tags, override = plan.graph.nodes[pipe_id].tags, overrides.get(pipe_id)
    own = override if isinstance(override, Mapping) else EMPTY
    if not own and not any(key in tags for key in _TAGS):
        return {}, []
    tagged, wrong = read_task_tags({tag: tags[tag] for tag in _TAGS if tag in tags})
    found = {tag: value for tag, value in tagged.items() if value is not None or tag == TIMEOUT_TAG}
    problems = [f"pipe {pipe_id!r}: {text}" for text in wrong]
    for key, kind in _OVERRIDES.items():
        if key in own:
            found[key] = kind.read(own[key])
            problems += [f"pipe {pipe_id!r}: override {p}" for p in kind.problems(key, found[key])]
    return found, problems


def _override_problems(
    plan: ExecutionPlan, overrides: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    known = set(plan.pipe_ids)
    problems = []
    for pipe_id, override in overrides.items():
        if not isinstance(override, Mapping):
            problems.append(
                f"overrides: pipe {pipe_id!r} must map to options, not {override!r}\n"
                "  Fix: write them as a mapping, such as {'timeout_seconds': 600}."
            )
            continue
        if pipe_id not in known:
            problems.append(
                f"overrides: pipe {pipe_id!r} is not in the plan."
                f"{did_you_mean(str(pipe_id), known)}\n"
                "  Fix: correct the id, or remove the override."
            )
        problems += [
            f"pipe {pipe_id!r}: unknown override {key!r}.{did_you_mean(str(key), _OVERRIDES)}\n"
            f"  Fix: use one of {', '.join(_OVERRIDES)}."
            for key in override
            if key not in _OVERRIDES
        ]
    return problems


def _finite(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


_BACKOFF = "retry.backoff"
_LONGEST = "retry.max_interval_seconds"
_TAGS = (TIMEOUT_TAG, ATTEMPTS_TAG, RETRY_INTERVAL_TAG)
_WORKERS = whole(1)
_SECONDS = Value("a number of seconds from 0", {}, lambda v: _finite(v) and v >= 0, as_number)
_POSITIVE = Value("a number of seconds above 0", {}, lambda v: _finite(v) and v > 0, as_number)
_LIMIT = Value(
    "a number of seconds above 0, or None for no limit",
    {},
    lambda v: v is None or (_finite(v) and v > 0),
    as_number,
)
_FACTOR = Value("a number above 0", {}, lambda v: _finite(v) and v > 0, as_number)
_OVERRIDES = {
    TIMEOUT_TAG: _LIMIT,
    ATTEMPTS_TAG: COUNT,
    RETRY_INTERVAL_TAG: _SECONDS,
    _BACKOFF: _FACTOR,
    _LONGEST: _LIMIT,
}


def _misfits(options: object, kinds: Mapping[str, Value]) -> list[str]:
    return [p for name, kind in kinds.items() for p in kind.problems(name, getattr(options, name))]
