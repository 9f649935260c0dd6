"""The outcome of a plan: by pipe, by generation, as a whole. Every pipe of the plan is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kindling_airflow import errors
from kindling_airflow.common.immutable import EMPTY, freeze, thaw
from kindling_airflow.errors import PipeRunError, PipeTimeoutError
from kindling_airflow.execution_plan import ExecutionPlan

__all__ = [
    "ExecutionInterrupted",
    "ExecutionResult",
    "GenerationResult",
    "PipeResult",
    "PipeResults",
    "PipeStatus",
]


class PipeStatus(str, Enum):
    """How a pipe ended. It is a string as well: ``result.status == "failed"``."""

    SUCCESS = "success"
    SKIPPED = "skipped"
    """It ran and found nothing to do, which is as good as success."""
    FAILED = "failed"
    NOT_RUN = "not_run"
    """It was never started; the reason says why."""
    RUNNING = "running"
    """A stream that is going; only while a streaming execution is."""

    @property
    def is_well(self) -> bool:
        """Whether those that depend on the pipe can go on."""
        return self in (PipeStatus.SUCCESS, PipeStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class PipeResult:
    """The outcome of a pipe.

    Attributes:
        pipe_id: the pipe.
        status: how it ended.
        duration_seconds: from its first start to its end, waits between attempts included.
        error: why it failed, else None.
        error_type: the class of the error, else None.
        streaming_query: the handle of a stream, else None.
        attempts: how many attempts there were; 0 where it did not run.
        report: what its runner returned, if that was a report or a mapping, else None.
        reason: why it was skipped or not run, or why a failure was not retried; else "".
    """

    pipe_id: str
    status: PipeStatus
    duration_seconds: float = 0.0
    error: str | None = None
    error_type: str | None = None
    streaming_query: Any = None
    attempts: int = 0
    report: Any = None
    reason: str = ""

    @property
    def timed_out(self) -> bool:
        """Whether its last attempt was abandoned because its time had run out."""
        return self.error_type == PipeTimeoutError.__name__

    @property
    def error_text(self) -> str | None:
        """Why it failed, behind the class of the error as Python shows it; None if it did not.

        The package's own errors need no class in front.
        """
        return None if self.error is None else with_class(self.error_type, self.error)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON document; the stream's handle is left out."""
        return {
            "pipe_id": self.pipe_id,
            "status": self.status.value,
            "duration_seconds": self.duration_seconds,
            "error": self.error,
            "error_type": self.error_type,
            "attempts": self.attempts,
            "report": _plain(self.report),
            "reason": self.reason,
        }


class PipeResults:
    """What follows from the results of several pipes."""

    __slots__ = ()

    @property
    def pipe_results(self) -> tuple[PipeResult, ...]:
        """The results, in the order of the plan."""
        raise NotImplementedError

    @property
    def all_succeeded(self) -> bool:
        """Whether every pipe did its work, or had none to do; True without pipes."""
        return all(r.status.is_well for r in self.pipe_results)

    @property
    def success_count(self) -> int:
        """How many pipes did their work."""
        return self._count(PipeStatus.SUCCESS)

    @property
    def failed_count(self) -> int:
        """How many pipes failed."""
        return self._count(PipeStatus.FAILED)

    @property
    def skipped_count(self) -> int:
        """How many pipes had nothing to do."""
        return self._count(PipeStatus.SKIPPED)

    @property
    def failed_pipes(self) -> tuple[str, ...]:
        """The pipes that failed, in the order of the plan."""
        return tuple(r.pipe_id for r in self.pipe_results if r.status is PipeStatus.FAILED)

    def _count(self, status: PipeStatus) -> int:
        return sum(r.status is status for r in self.pipe_results)


@dataclass(frozen=True, slots=True)
class GenerationResult(PipeResults):
    """The outcome of a generation.

    Attributes:
        generation_number: its number in the plan.
        pipe_results: its pipes, in the plan's order.
        duration_seconds: from its start to its end; 0 where none of its pipes was started.
    """

    generation_number: int
    pipe_results: tuple[PipeResult, ...]
    duration_seconds: float = 0.0

    @property
    def executed(self) -> bool:
        """Whether any of its pipes was started."""
        return any(r.status is not PipeStatus.NOT_RUN for r in self.pipe_results)

    def to_json(self) -> dict[str, Any]:
        """Return the result as a JSON document."""
        return {
            "generation_number": self.generation_number,
            "duration_seconds": self.duration_seconds,
            "pipes": [result.to_json() for result in self.pipe_results],
        }


@dataclass(frozen=True, slots=True)
class ExecutionResult(PipeResults):
    """The outcome of a plan.

    Attributes:
        plan: the plan.
        generation_results: its generations, in the plan's order, those that were not run included.
        duration_seconds: from start to end.
        run_id: names this execution.
        streaming_queries: the handles of a streaming execution, by pipe.
        cache_metrics: ``hits``, ``misses``, and ``entities`` with ``level``, ``hits`` and
            ``misses`` of each entity that was shared.
    """

    plan: ExecutionPlan
    generation_results: tuple[GenerationResult, ...]
    duration_seconds: float
    run_id: str
    streaming_queries: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    cache_metrics: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    def __post_init__(self) -> None:
        object.__setattr__(self, "streaming_queries", freeze(self.streaming_queries))
        metrics = {"hits": 0, "misses": 0, "entities": {}, **self.cache_metrics}
        object.__setattr__(self, "cache_metrics", freeze(metrics))

    @property
    def pipe_results(self) -> tuple[PipeResult, ...]:
        """All pipes' results, in the order of the generations."""
        return tuple([r for generation in self.generation_results for r in generation.pipe_results])

    def pipe_result(self, pipe_id: str) -> PipeResult | None:
        """Return a pipe's result, or None for a pipe that is not in the plan."""
        return next((r for r in self.pipe_results if r.pipe_id == pipe_id), None)

    def get_summary(self) -> dict[str, Any]:
        """Return the figures of the execution, of JSON types."""
        return {
            "run_id": self.run_id,
            "strategy": self.plan.strategy,
            "total_pipes": self.plan.total_pipes(),
            "generations_executed": sum(g.executed for g in self.generation_results),
            "success_count": self.success_count,
            "failed_count": self.failed_count,
            "skipped_count": self.skipped_count,
            "not_run_count": self._count(PipeStatus.NOT_RUN),
            "duration_seconds": self.duration_seconds,
            "all_succeeded": self.all_succeeded,
            "failed_pipes": list(self.failed_pipes),
            "cache_metrics": thaw(self.cache_metrics),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the summary, the plan's digest and all results as a JSON document."""
        return {
            **self.get_summary(),
            "plan_digest": self.plan.digest,
            "generations": [generation.to_json() for generation in self.generation_results],
        }

    def raise_if_failed(self) -> None:
        """Do nothing if all went well.

        Raises:
            PipeRunError: a pipe failed or did not run; names each with its reason.
        """
        bad = [r for r in self.pipe_results if not r.status.is_well]
        if bad:
            total = self.plan.total_pipes()
            lines = [
                f"  {r.pipe_id!r} {r.status.value.replace('_', ' ')}: {r.error_text or r.reason}"
                for r in bad
            ]
            headline = f"run {self.run_id!r}: {len(bad)} of {total} pipes did not succeed"
            raise PipeRunError("\n".join([headline, *lines]))


class ExecutionInterrupted(KeyboardInterrupt):
    """An execution was interrupted from the keyboard.

    Attributes:
        result: the outcome of each pipe until then.
    """

    def __init__(self, result: ExecutionResult) -> None:
        self.result = result
        super().__init__(f"run {result.run_id!r} was interrupted")


def with_class(kind: str | None, text: str) -> str:
    """Return an error's text after its class; without it if the class is of this package.

    >>> with_class("KeyError", "'month'"), with_class("PipeRunError", "the session has ended")
    ("KeyError: 'month'", 'the session has ended')
    """
    if kind is None or hasattr(errors, kind) or text == kind or text.startswith(f"{kind}: "):
        return text
    return f"{kind}: {text}"


def _plain(value: Any) -> Any:
    """Return a report with JSON types alone; what JSON cannot express becomes its ``repr``."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else repr(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    as_json = getattr(value, "to_json", None)
    return _plain(as_json()) if callable(as_json) else repr(value)
