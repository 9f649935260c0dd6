"""The contract of the callable that runs a pipe in an executor, and how its result is read.

    run_pipe(pipe_id) -> outcome

| outcome | the pipe |
|---|---|
| an object or mapping with a ``status``, or a status alone | by it, see below |
| ``Skipped(reason)``, or ``PipeSkipped(reason)`` raised | skipped |
| ``False``, an exception | failed |
| unfinished work: an awaitable, a ``Future``, a generator | failed |
| an :class:`ExecutionResult`, of a plan in the plan | failed if it did not all go well |
| anything else: ``None``, ``True``, a mapping, a row count | did its work |

``published``, ``success`` and ``succeeded`` are good statuses, ``skipped`` is skipped, and every
other one is a failure, known or not. A report with ``permanent`` in its ``extra`` is not retried.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from kindling_airflow.common.immutable import freeze
from kindling_airflow.errors import PipeRunError
from kindling_airflow.generation_executor.results import ExecutionResult, PipeStatus

__all__ = [
    "Cancellable",
    "Outcome",
    "PipeRunner",
    "PipeSkipped",
    "ReportingStream",
    "SharedReads",
    "Skipped",
    "StreamHandle",
    "StreamStarter",
    "outcome_of",
    "run_attempt",
]


class PipeRunner(Protocol):
    """Runs one pipe. Called in the pipe's own thread, with the caller's context variables."""

    def __call__(self, pipe_id: str, /) -> Any:
        """Run the pipe to its end; see the module for what to return."""
        ...


@runtime_checkable
class Cancellable(Protocol):
    """A runner that can cancel."""

    def cancel(self, pipe_id: str, /) -> object:
        """Ask the pipe's running attempt to end soon. Called in its own thread."""
        ...


@runtime_checkable
class SharedReads(Protocol):
    """A runner that can keep an entity between the pipes that read it. All calls return soon."""

    def share(self, entity_id: str, level: str, on_read: Callable[[str, bool], None], /) -> object:
        """Keep what is read of an entity from now on.

        Args:
            entity_id: the entity.
            level: ``MEMORY_ONLY``, ``MEMORY_AND_DISK`` or ``DISK_ONLY``.
            on_read: to be called with each reading pipe, and whether it got the kept data.
        """
        ...

    def release(self, entity_id: str, /) -> object:
        """Forget what was kept of an entity, and keep nothing more."""
        ...


@runtime_checkable
class StreamHandle(Protocol):
    """A stream that was started. The queries about its state return at once."""

    def is_ready(self) -> bool:
        """Return whether it processes data."""
        ...

    def is_active(self) -> bool:
        """Return whether it has not ended yet."""
        ...

    def error(self) -> BaseException | str | None:
        """Return why it failed, or None."""
        ...

    def drain(self) -> object:
        """Process what has arrived; may take long."""
        ...

    def stop(self) -> object:
        """End; may take long."""
        ...


@runtime_checkable
class ReportingStream(Protocol):
    """A stream that can report what it did."""

    def report(self) -> object:
        """Return a report or a mapping for the pipe's result. Called at its end."""
        ...


@runtime_checkable
class StreamStarter(Protocol):
    """A runner that can start a pipe as a stream."""

    def start(self, pipe_id: str, /) -> StreamHandle:
        """Start the pipe, without waiting until it is ready. Called in its own thread."""
        ...


@dataclass(frozen=True, slots=True)
class Skipped:
    """Returned by a runner: the pipe had nothing to do."""

    reason: str = ""


class PipeSkipped(Exception):  # noqa: N818 (not an error)
    """Raised by a runner or a pipe: there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt of a pipe ended.

    Attributes:
        status: success, skipped or failed.
        reason: why it was skipped.
        error, error_type: why it failed.
        exception: what was raised, if something was.
        report: what the runner returned, if that was a report or a mapping.
        permanent: whether a retry cannot help.
    """

    status: PipeStatus
    reason: str = ""
    error: str | None = None
    error_type: str | None = None
    exception: BaseException | None = None
    report: Any = None
    permanent: bool = False

    @classmethod
    def raised(cls, exception: BaseException) -> Outcome:
        """Return the failure that an exception is; after an exit a retry cannot help."""
        return cls(
            PipeStatus.FAILED,
            error=str(exception) or type(exception).__name__,
            error_type=type(exception).__name__,
            exception=exception,
            permanent=not isinstance(exception, Exception),
        )


_STATUSES = {
    "published": PipeStatus.SUCCESS,
    "success": PipeStatus.SUCCESS,
    "succeeded": PipeStatus.SUCCESS,
    "skipped": PipeStatus.SKIPPED,
    "failed": PipeStatus.FAILED,
}


def run_attempt(run_pipe: PipeRunner, pipe_id: str) -> Outcome:
    """Run a pipe once. Nothing is raised: this is the boundary around user code."""
    try:
        return outcome_of(run_pipe(pipe_id))
    except PipeSkipped as skipped:
        return Outcome(PipeStatus.SKIPPED, reason=str(skipped))
    except BaseException as error:
        return Outcome.raised(error)


def outcome_of(returned: Any) -> Outcome:
    """Return the outcome that a runner's result means; see the module."""
    if isinstance(returned, Skipped):
        return Outcome(PipeStatus.SKIPPED, reason=returned.reason)
    if returned is False:
        return _failure("the runner returned False", "PipeRunError")
    unfinished = _unfinished(returned)
    if unfinished:
        return _failure(f"the runner returned {unfinished}", "PipeRunError")
    if isinstance(returned, ExecutionResult):
        try:
            returned.raise_if_failed()
        except PipeRunError as error:
            return Outcome.raised(error)
    reported, report = _status_of(returned)
    if reported is None:
        return Outcome(PipeStatus.SUCCESS, report=report)
    status = _STATUSES.get(reported.lower()) if isinstance(reported, str) else None
    if status is None:
        known = ", ".join(_STATUSES)
        text = f"the runner reported an unknown status: {reported!r}\n  Fix: use one of {known}."
        return _failure(text, "PipeRunError", report)
    if status is PipeStatus.FAILED:
        return _reported_failure(report)
    return Outcome(status, reason=str(_field(report, "reason") or ""), report=report)


def _unfinished(returned: Any) -> str:
    """Return why a result is unfinished work, and what to do; "" if it is not."""
    if inspect.isawaitable(returned):
        if inspect.iscoroutine(returned):
            returned.close()
        return (
            "an awaitable that was not awaited\n"
            "  Fix: run it, for example with asyncio.run(...), and return its result."
        )
    if isinstance(returned, Future):
        return "a Future instead of its result\n  Fix: return its result()."
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        return "a generator that was not consumed\n  Fix: remove yield, or consume the generator."
    return ""


def _status_of(returned: Any) -> tuple[Any, Any]:
    """Return the status that a runner reported, None without one, and its report."""
    if isinstance(returned, str):
        return returned, None
    if isinstance(returned, Mapping):
        return returned.get("status"), freeze(returned)
    reported = getattr(returned, "status", None)
    reported = reported.value if isinstance(reported, Enum) else reported
    # A table may well have a column of this name.
    return (reported, returned) if isinstance(reported, str) else (None, None)


def _reported_failure(report: Any) -> Outcome:
    error = _field(report, "error")
    text = _field(error, "message") if error is not None else _field(report, "reason")
    reported = str(text or error or "the runner reported a failure without a reason")
    kind = str(_field(error, "type") or _field(report, "error_type") or "PipeRunError")
    permanent = bool(_field(_field(report, "extra"), "permanent"))
    return _failure(reported, kind, report, permanent=permanent)


def _failure(text: str, kind: str, report: Any = None, *, permanent: bool = False) -> Outcome:
    return Outcome(
        PipeStatus.FAILED, error=text, error_type=kind, report=report, permanent=permanent
    )


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
