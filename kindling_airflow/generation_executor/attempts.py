"""The tries of pipes: slots, time limits, retries.

    begin -> running -> ended
               |  ^
       failed  v  |  after the interval, when a slot is free
             resting
               ^
               |  when the old try has ended
             haunted  <- ran out of time, and is to be tried again

A try that runs out of time is given up: its slot is free at once, and its outcome will not count.
Its thread cannot be stopped, only asked to end. Until it has, the pipe is not tried again, because
two tries of one pipe must not write beside each other; if it does not end in time, the pipe fails.

When pipes run side by side, a resting pipe holds no slot; one after the other, it holds the one.

The clock is looked at after each message, so a limit holds however much other pipes have to say. An
end that is there already counts, though, even if nobody has had the time to read it yet.
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
from kindling_airflow.generation_executor.runners import Cancellable, Outcome, PipeRunner, try_pipe
from kindling_airflow.generation_executor.threads import Threads

GRACE_SECONDS = 10.0
"""How long after the interval a try that ran out of time may still take to end."""


@dataclass(frozen=True, slots=True)
class PipeEnd:
    """A pipe has ended: how, after how many tries, how long it took, and why there is no other."""

    pipe_id: str
    outcome: Outcome
    attempts: int
    duration_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A try failed and another one follows."""

    pipe_id: str
    attempt: int
    outcome: Outcome
    wait_seconds: float


@dataclass(slots=True)
class _Live:
    """A pipe between its start and its end."""

    pipe_id: str
    settings: PipeOptions
    started: float
    attempt: int = 0
    deadline: float | None = None
    resume: float = 0.0
    failure: Outcome = field(default_factory=lambda: Outcome(PipeStatus.FAILED))


@dataclass(frozen=True, slots=True)
class _TryEnded:
    """The message of a try's thread."""

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
    """The pipes that have begun and not ended.

    Args:
        run_pipe: runs a pipe.
        options: how many may run at once.
        settings: what holds for each pipe.
        threads: time and threads.
        log: where late ends and failed cancellations are told.
        on_retry: is called when a pipe will be tried again.
        on_message: is called with messages that are nobody's here.
    """

    def __init__(
        self,
        run_pipe: PipeRunner,
        options: BatchOptions,
        settings: Mapping[str, PipeOptions],
        threads: Threads,
        log: Log,
        *,
        on_retry: Callable[[Retry], None],
        on_message: Callable[[Any], None],
    ) -> None:
        self._run_pipe = run_pipe
        self._options = options
        self._settings = settings
        self._threads = threads
        self._log = log
        self._on_retry = on_retry
        self._on_message = on_message
        self._running: dict[str, _Live] = {}
        self._resting: list[tuple[float, int, _Live]] = []
        self._haunted: dict[str, _Live] = {}
        self._given_up: dict[tuple[str, int], int] = {}  # tries: how many threads are left of each
        self._ended: deque[PipeEnd] = deque()
        self._turn = itertools.count()
        self._unread: deque[Any] = deque()  # messages that are there
        self._returned: Counter[tuple[str, int]] = Counter()  # tries: how many ends are unread
        self._no_more = ""

    def any_left(self) -> bool:
        """Tell whether a pipe has begun and :meth:`next_end` has not returned its end."""
        return bool(self._running or self._resting or self._haunted or self._ended)

    def has_slot(self) -> bool:
        """Tell whether another pipe may begin."""
        waiting = 0 if self._options.parallel else len(self._resting) + len(self._haunted)
        return len(self._running) + waiting < self._options.width

    def begin(self, pipe_id: str) -> None:
        """Start a pipe's first try."""
        self._start(_Live(pipe_id, self._settings[pipe_id], self._threads.now()))

    def resume(self) -> None:
        """Start further tries that are due, while there are slots."""
        now = self._threads.now()
        while self._resting and self._resting[0][0] <= now and self._is_free():
            self._start(heapq.heappop(self._resting)[2])

    def next_end(self, at_most: float | None = None) -> PipeEnd | None:
        """Wait until something happens; return a pipe that has ended, or None.

        Args:
            at_most: how many seconds to wait; None: as long as there is nothing to do.
        """
        if not self._ended:
            self._read(self._next_message(at_most))
            self._look_at_the_clock()
        return self._ended.popleft() if self._ended else None

    def try_no_more(self, reason: str) -> None:
        """End what waits for another try, and let nothing be tried again from now on."""
        self._no_more = reason
        waiting = [live for _, _, live in sorted(self._resting)]
        waiting += self._haunted.values()
        self._resting.clear()
        self._haunted.clear()
        for live in waiting:
            self._end(live, live.failure, f"not tried again: {reason}")

    def abandon(self, reason: str) -> None:
        """End everything: ask what runs to end, and wait for nothing; ends that are there count."""
        self.try_no_more(reason)
        self._collect_messages()
        while self._unread:
            self._read(self._next_message(0.0))
        running = list(self._running.values())
        self._running.clear()
        for live in running:
            self._give_up(live)
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
        limit = live.settings.timeout_seconds
        live.deadline = None if limit is None else self._threads.now() + limit
        self._running[live.pipe_id] = live
        pipe_id, attempt, run_pipe = live.pipe_id, live.attempt, self._run_pipe
        self._threads.start(
            f"kindling-{pipe_id}", lambda: _TryEnded(pipe_id, attempt, try_pipe(run_pipe, pipe_id))
        )

    def _read(self, message: Any) -> None:
        if isinstance(message, _TryEnded):
            self._try_returned(message)
        elif isinstance(message, _CancelEnded):
            self._cancel_returned(message)
        elif message is not None:
            self._on_message(message)

    def _next_message(self, at_most: float | None) -> Any:
        if not self._unread:
            return self._threads.wait(_shorter(self._patience(), at_most))
        message = self._unread.popleft()
        if isinstance(message, (_TryEnded, _CancelEnded)):
            self._returned[message.pipe_id, message.attempt] -= 1
        return message

    def _collect_messages(self) -> None:
        """Take the messages that are there, to be read one by one."""
        while (message := self._threads.wait(0.0)) is not None:
            self._unread.append(message)
            if isinstance(message, (_TryEnded, _CancelEnded)):
                self._returned[message.pipe_id, message.attempt] += 1

    def _patience(self) -> float | None:
        """Return how long there is nothing to do unless a message comes."""
        moments = [live.deadline for live in self._running.values() if live.deadline is not None]
        moments += [live.resume + GRACE_SECONDS for live in self._haunted.values()]
        if self._resting and self._is_free():
            moments.append(self._resting[0][0])
        return min(moments) - self._threads.now() if moments else None

    def _try_returned(self, message: _TryEnded) -> None:
        if (message.pipe_id, message.attempt) in self._given_up:
            self._log.warning(
                f"pipe {message.pipe_id!r}: try {message.attempt}, which was given up, has ended "
                f"({message.outcome.status.value}); this does not count"
            )
            self._one_thread_less(message.pipe_id, message.attempt)
            return
        live = self._running.pop(message.pipe_id)
        if message.outcome.status is not PipeStatus.FAILED:
            self._end(live, message.outcome, message.outcome.reason)
        elif self._is_tried_again(live, message.outcome):
            self._rest(live)
            self._tell_retry(live)

    def _cancel_returned(self, message: _CancelEnded) -> None:
        if message.error is not None:
            self._log.failure(f"pipe {message.pipe_id!r} cannot be cancelled", message.error)
        self._one_thread_less(message.pipe_id, message.attempt)

    def _look_at_the_clock(self) -> None:
        """Give up what is out of time, unless its end is there."""
        now = self._threads.now()
        late = [x for x in self._running.values() if x.deadline is not None and x.deadline <= now]
        hopeless = [x for x in self._haunted.values() if x.resume + GRACE_SECONDS <= now]
        if late or hopeless:
            self._collect_messages()
        for live in late:
            if not self._returned[live.pipe_id, live.attempt]:
                self._run_out_of_time(live)
        for live in hopeless:
            key = (live.pipe_id, live.attempt)
            if self._returned[key] < self._given_up[key]:
                del self._haunted[live.pipe_id]
                reason = f"not tried again: try {live.attempt}, which was given up, has not ended"
                self._end(live, live.failure, reason)

    def _run_out_of_time(self, live: _Live) -> None:
        del self._running[live.pipe_id]
        self._give_up(live)
        if self._is_tried_again(live, _timed_out(live)):
            self._haunted[live.pipe_id] = live
            self._tell_retry(live)

    def _is_tried_again(self, live: _Live, failure: Outcome) -> bool:
        """Tell whether a pipe is tried again, and set when; else end it."""
        retry = live.settings.retry
        if live.attempt > retry.attempts:
            self._end(live, failure, "")
        elif failure.permanent:
            self._end(live, failure, "not tried again: the failure is permanent")
        elif self._no_more:
            self._end(live, failure, f"not tried again: {self._no_more}")
        else:
            live.failure = failure
            live.resume = self._threads.now() + retry.wait_after(live.attempt)
            return True
        return False

    def _tell_retry(self, live: _Live) -> None:
        seconds = live.settings.retry.wait_after(live.attempt)
        self._on_retry(Retry(live.pipe_id, live.attempt, live.failure, seconds))

    def _rest(self, live: _Live) -> None:
        heapq.heappush(self._resting, (live.resume, next(self._turn), live))

    def _give_up(self, live: _Live) -> None:
        """Ask the running try to end, if the runner can be asked; it is not waited for."""
        pipe_id, attempt, runner = live.pipe_id, live.attempt, self._run_pipe
        self._given_up[pipe_id, attempt] = 1
        if not isinstance(runner, Cancellable):
            return
        self._given_up[pipe_id, attempt] = 2

        def cancel() -> _CancelEnded:
            try:
                runner.cancel(pipe_id)
            except BaseException as error:
                return _CancelEnded(pipe_id, attempt, error)
            return _CancelEnded(pipe_id, attempt, None)

        self._threads.start(f"kindling-cancel-{pipe_id}", cancel)

    def _one_thread_less(self, pipe_id: str, attempt: int) -> None:
        """Count down; when nothing is left of a try that was given up, another one may follow."""
        self._given_up[pipe_id, attempt] -= 1
        if self._given_up[pipe_id, attempt]:
            return
        del self._given_up[pipe_id, attempt]
        live = self._haunted.pop(pipe_id, None)
        if live is not None:
            self._rest(live)

    def _end(self, live: _Live, outcome: Outcome, reason: str) -> None:
        seconds = self._threads.now() - live.started
        self._ended.append(PipeEnd(live.pipe_id, outcome, live.attempt, seconds, reason))


def _shorter(one: float | None, other: float | None) -> float | None:
    """Return the shorter one of two times; None is for ever."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _timed_out(live: _Live) -> Outcome:
    limit = live.settings.timeout_seconds or 0.0
    tries = live.settings.retry.attempts + 1
    which = f" (try {live.attempt} of {tries})" if tries > 1 else ""
    return Outcome.raised(
        PipeTimeoutError(
            f"pipe {live.pipe_id!r} did not end within {limit:g} s{which}\n"
            "  Fix: check what it is waiting for, or increase its timeout_seconds."
        )
    )
