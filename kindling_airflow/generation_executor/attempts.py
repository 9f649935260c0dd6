"""The attempts of pipes: slots, time limits, retries.

    begin -> running -> ended
               |  ^
       failed  v  |  after the interval, when a slot is free
             waiting
               ^
               |  when the old attempt has ended
           timed out  <- ran out of time, and is to be retried

An attempt that runs out of time is abandoned: its slot is free at once, and its outcome does not
count. Its thread cannot be stopped, only asked to end. Until it has, the pipe is not retried,
because two attempts of one pipe must not write at once; if it does not end in time, the pipe fails.

When pipes run in parallel, a waiting pipe holds no slot; otherwise it holds the only one.

The clock is checked after each message, so a limit holds however many messages other pipes send.
An end that is already in the queue counts, though, even if it has not been read yet.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kindling_airflow.errors import PipeTimeoutError
from kindling_airflow.generation_executor.events import Log
from kindling_airflow.generation_executor.options import BatchOptions, PipeOptions
from kindling_airflow.generation_executor.results import PipeStatus
from kindling_airflow.generation_executor.runners import (
    Cancellable,
    Outcome,
    PipeRunner,
    run_attempt,
)
from kindling_airflow.generation_executor.threads import Threads

GRACE_SECONDS = 10.0
"""How long after the interval an attempt that ran out of time may still take to end."""


@dataclass(frozen=True, slots=True)
class PipeEnd:
    """A pipe has ended: how, after how many attempts, how long it took, why it is not retried."""

    pipe_id: str
    outcome: Outcome
    attempts: int
    duration_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """An attempt failed and is followed by another one."""

    pipe_id: str
    attempt: int
    outcome: Outcome
    wait_seconds: float


@dataclass(slots=True)
class _Live:
    """A pipe between its start and its end."""

    pipe_id: str
    options: PipeOptions
    started: float
    attempt: int = 0
    deadline: float | None = None
    resume: float = 0.0
    failure: Outcome = field(default_factory=lambda: Outcome(PipeStatus.FAILED))


@dataclass(frozen=True, slots=True)
class _AttemptEnded:
    """The message of an attempt's thread."""

    pipe_id: str
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class _CancelEnded:
    """The message that a runner's ``cancel`` has returned."""

    pipe_id: str
    attempt: int
    error: BaseException | None


class Attempts:
    """The pipes that have begun and not ended."""

    def __init__(
        self,
        run_pipe: PipeRunner,
        options: BatchOptions,
        pipe_options: Mapping[str, PipeOptions],
        threads: Threads,
        log: Log,
        *,
        on_retry: Callable[[Retry], None],
        on_message: Callable[[Any], None],
    ) -> None:
        self._run_pipe = run_pipe
        self._options = options
        self._pipe_options = pipe_options
        self._threads = threads
        self._log = log
        self._on_retry = on_retry
        self._on_message = on_message
        self._running: dict[str, _Live] = {}
        self._waiting: list[tuple[float, int, _Live]] = []
        self._timed_out: dict[str, _Live] = {}
        self._abandoned: dict[tuple[str, int], int] = {}  # attempts, with their running threads
        self._ended: deque[PipeEnd] = deque()
        self._turn = itertools.count()
        self._unread: deque[Any] = deque()
        self._returned: Counter[tuple[str, int]] = Counter()  # attempts, with their unread ends
        self._no_more = ""

    def any_left(self) -> bool:
        """Return whether a pipe has begun and :meth:`next_end` has not returned its end."""
        return bool(self._running or self._waiting or self._timed_out or self._ended)

    def has_slot(self) -> bool:
        """Return whether another pipe may begin."""
        waiting = 0 if self._options.parallel else len(self._waiting) + len(self._timed_out)
        return len(self._running) + waiting < self._options.width

    def begin(self, pipe_id: str) -> None:
        """Start a pipe's first attempt."""
        self._start(_Live(pipe_id, self._pipe_options[pipe_id], self._threads.now()))

    def resume(self) -> None:
        """Start retries that are due, while there are slots."""
        now = self._threads.now()
        while self._waiting and self._waiting[0][0] <= now and self._is_free():
            self._start(heapq.heappop(self._waiting)[2])

    def next_end(self, at_most: float | None = None) -> PipeEnd | None:
        """Wait for the next event; return a pipe that has ended, or None."""
        if not self._ended:
            self._read(self._next_message(at_most))
            self._check_clock()
        return self._ended.popleft() if self._ended else None

    def stop_retrying(self, reason: str) -> None:
        """End the pipes that wait for a retry; from now on nothing is retried."""
        self._no_more = reason
        waiting = [live for _, _, live in sorted(self._waiting)]
        waiting += self._timed_out.values()
        self._waiting.clear()
        self._timed_out.clear()
        for live in waiting:
            self._end(live, live.failure, f"not retried: {reason}")

    def abandon(self, reason: str) -> None:
        """End everything without waiting; ends that are already in the queue count."""
        self.stop_retrying(reason)
        self._collect_messages()
        while self._unread:
            self._read(self._next_message(0.0))
        running = list(self._running.values())
        self._running.clear()
        for live in running:
            self._abandon(live)
            error = f"{reason} while it ran"
            failed = Outcome(PipeStatus.FAILED, error=error, error_type="KeyboardInterrupt")
            self._end(live, failed, "")

    def ends(self) -> list[PipeEnd]:
        """Return the pipes that have ended, without waiting."""
        found = list(self._ended)
        self._ended.clear()
        return found

    def _is_free(self) -> bool:
        return len(self._running) < self._options.width

    def _start(self, live: _Live) -> None:
        live.attempt += 1
        limit = live.options.timeout_seconds
        live.deadline = None if limit is None else self._threads.now() + limit
        self._running[live.pipe_id] = live
        pipe_id, attempt, run_pipe = live.pipe_id, live.attempt, self._run_pipe
        self._threads.start(
            f"kindling-{pipe_id}",
            lambda: _AttemptEnded(pipe_id, attempt, run_attempt(run_pipe, pipe_id)),
        )

    def _read(self, message: Any) -> None:
        if isinstance(message, _AttemptEnded):
            self._attempt_returned(message)
        elif isinstance(message, _CancelEnded):
            self._cancel_returned(message)
        elif message is not None:
            self._on_message(message)

    def _next_message(self, at_most: float | None) -> Any:
        if not self._unread:
            return self._threads.wait(_shorter(self._patience(), at_most))
        message = self._unread.popleft()
        if isinstance(message, (_AttemptEnded, _CancelEnded)):
            self._returned[message.pipe_id, message.attempt] -= 1
        return message

    def _collect_messages(self) -> None:
        """Move the messages of the queue to the unread ones."""
        while (message := self._threads.wait(0.0)) is not None:
            self._unread.append(message)
            if isinstance(message, (_AttemptEnded, _CancelEnded)):
                self._returned[message.pipe_id, message.attempt] += 1

    def _patience(self) -> float | None:
        """Return how long there is nothing to do unless a message arrives."""
        times = [live.deadline for live in self._running.values() if live.deadline is not None]
        times += [live.resume + GRACE_SECONDS for live in self._timed_out.values()]
        if self._waiting and self._is_free():
            times.append(self._waiting[0][0])
        return min(times) - self._threads.now() if times else None

    def _attempt_returned(self, message: _AttemptEnded) -> None:
        if (message.pipe_id, message.attempt) in self._abandoned:
            self._log.warning(
                f"pipe {message.pipe_id!r}: attempt {message.attempt}, which had timed out, has "
                f"ended ({message.outcome.status.value}); its outcome is ignored"
            )
            self._thread_ended(message.pipe_id, message.attempt)
            return
        live = self._running.pop(message.pipe_id)
        if message.outcome.status is not PipeStatus.FAILED:
            self._end(live, message.outcome, message.outcome.reason)
        elif self._is_retried(live, message.outcome):
            self._wait(live)
            self._report_retry(live)

    def _cancel_returned(self, message: _CancelEnded) -> None:
        if message.error is not None:
            self._log.failure(f"pipe {message.pipe_id!r} cannot be cancelled", message.error)
        self._thread_ended(message.pipe_id, message.attempt)

    def _check_clock(self) -> None:
        """Abandon what is out of time, unless its end is in the queue."""
        now = self._threads.now()
        late = [x for x in self._running.values() if x.deadline is not None and x.deadline <= now]
        hopeless = [x for x in self._timed_out.values() if x.resume + GRACE_SECONDS <= now]
        if late or hopeless:
            self._collect_messages()
        for live in late:
            if not self._returned[live.pipe_id, live.attempt]:
                self._run_out_of_time(live)
        for live in hopeless:
            key = (live.pipe_id, live.attempt)
            if self._returned[key] < self._abandoned[key]:
                del self._timed_out[live.pipe_id]
                reason = f"not retried: attempt {live.attempt} timed out and has not ended"
                self._end(live, live.failure, reason)

    def _run_out_of_time(self, live: _Live) -> None:
        del self._running[live.pipe_id]
        self._abandon(live)
        if self._is_retried(live, _timeout_of(live)):
            self._timed_out[live.pipe_id] = live
            self._report_retry(live)

    def _is_retried(self, live: _Live, failure: Outcome) -> bool:
        """Return whether a pipe is retried, and set when; else end it."""
        retry = live.options.retry
        if live.attempt > retry.attempts:
            self._end(live, failure, "")
        elif failure.permanent:
            self._end(live, failure, "not retried: the failure is permanent")
        elif self._no_more:
            self._end(live, failure, f"not retried: {self._no_more}")
        else:
            live.failure = failure
            live.resume = self._threads.now() + retry.wait_after(live.attempt)
            return True
        return False

    def _report_retry(self, live: _Live) -> None:
        seconds = live.options.retry.wait_after(live.attempt)
        self._on_retry(Retry(live.pipe_id, live.attempt, live.failure, seconds))

    def _wait(self, live: _Live) -> None:
        heapq.heappush(self._waiting, (live.resume, next(self._turn), live))

    def _abandon(self, live: _Live) -> None:
        """Cancel the running attempt, if the runner can; its end is not awaited."""
        pipe_id, attempt, runner = live.pipe_id, live.attempt, self._run_pipe
        self._abandoned[pipe_id, attempt] = 1
        if not isinstance(runner, Cancellable):
            return
        self._abandoned[pipe_id, attempt] = 2

        def cancel() -> _CancelEnded:
            try:
                runner.cancel(pipe_id)
            except BaseException as error:
                return _CancelEnded(pipe_id, attempt, error)
            return _CancelEnded(pipe_id, attempt, None)

        self._threads.start(f"kindling-cancel-{pipe_id}", cancel)

    def _thread_ended(self, pipe_id: str, attempt: int) -> None:
        """Count down the threads of an abandoned attempt; after the last one its pipe may go on."""
        self._abandoned[pipe_id, attempt] -= 1
        if self._abandoned[pipe_id, attempt]:
            return
        del self._abandoned[pipe_id, attempt]
        live = self._timed_out.pop(pipe_id, None)
        if live is not None:
            self._wait(live)

    def _end(self, live: _Live, outcome: Outcome, reason: str) -> None:
        seconds = self._threads.now() - live.started
        self._ended.append(PipeEnd(live.pipe_id, outcome, live.attempt, seconds, reason))


def _shorter(one: float | None, other: float | None) -> float | None:
    """Return the shorter one of two times; None: no limit."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _timeout_of(live: _Live) -> Outcome:
    limit = live.options.timeout_seconds or 0.0
    most = live.options.retry.attempts + 1
    which = f" (attempt {live.attempt} of {most})" if most > 1 else ""
    return Outcome.raised(
        PipeTimeoutError(
            f"pipe {live.pipe_id!r} did not end within {limit:g} s{which}\n"
            "  Fix: check what it is waiting for, or increase its timeout_seconds."
        )
    )
