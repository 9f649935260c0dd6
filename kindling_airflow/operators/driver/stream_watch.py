"""Follows the driver of a stream, which reports its state every two seconds.

- :class:`StreamProgress` passes the news on to XComs and the log.
- :class:`DrainOrder` signals the driver to drain when its turn has come, sources first. Each task
  decides by itself: is there a reason to stop, and have all tasks ended that write what the stream
  reads? Then nothing more can come, and the driver processes what has arrived and ends.
- :class:`Watchdog` kills a driver that is silent. A JVM that is frozen, or that only collects
  garbage, neither prints nor ends.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from airflow.providers.common.compat.sdk import redact

from kindling_airflow.common.immutable import thaw
from kindling_airflow.operators.driver.process_watch import checked_every
from kindling_airflow.protocol.contracts import StreamNews
from kindling_airflow.triggers.ready import READY_KEY
from kindling_airflow.triggers.run_states import States, StopRule, named

__all__ = ["PROGRESS_KEY", "DrainOrder", "StreamProgress", "Watchdog", "progress_text"]

PROGRESS_KEY = "kindling_progress"
_PUSH_SECONDS = 10.0
_LOG_SECONDS = 60.0
_LOOK_SECONDS = 1.9  # a little less than the interval of the driver's news
_WATCH_SECONDS = 0.5
_NUMBERS = (
    ("batch", "batch_id"),
    ("rows", "rows_in"),
    ("rows/s", "rows_per_second"),
    ("rows/s in", "input_rows_per_second"),
    ("lag", "lag"),
    ("rows of state", "state_rows"),
)


class StreamProgress:
    """Passes on a stream's news: changes at once, the numbers every ten seconds.

    Airflow may be unreachable for a while, which must not end a stream: what could not be passed
    on is retried with the next news.

    Args:
        push: pushes an XCom.
        say: logs a line.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        push: Callable[[str, Any], Any],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._push = push
        self._say = say
        self._clock = clock
        self._began = self._logged_at = clock()
        self._state = ""
        self._is_ready_known = False
        self._pushed_at: float | None = None
        self._logged_batch: Any = None

    def take(self, news: StreamNews) -> None:
        """Pass on what is due."""
        now = self._clock()
        if news.state != self._state:
            self._state, self._pushed_at = news.state, None
            self._say(f"Stream is {news.state}, {now - self._began:.0f} s after its start")
        if news.state == "ready" and not self._is_ready_known:
            self._is_ready_known = self._passed_on(READY_KEY, _now())
        if self._pushed_at is None or now - self._pushed_at >= _PUSH_SECONDS:
            document = {"state": news.state, "at": _now(), **thaw(news.progress)}
            if self._passed_on(PROGRESS_KEY, redact(document)):
                self._pushed_at = now
        batch = news.progress.get("batch_id")
        if batch != self._logged_batch and now - self._logged_at >= _LOG_SECONDS:
            self._logged_at, self._logged_batch = now, batch
            self._say(progress_text(news))

    def _passed_on(self, key: str, value: Any) -> bool:
        try:
            self._push(key, value)
        except Exception as error:
            self._say(f"Airflow does not accept XCom {key!r}; it is retried: {error}")
            return False
        return True


def progress_text(news: StreamNews) -> str:
    """Return a stream's numbers in one line, without those that are unknown."""
    found = [(name, news.progress.get(key)) for name, key in _NUMBERS]
    parts = [
        f"{name} {value:,.6g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in found
        if value is not None
    ]
    return f"Stream is {news.state}: {', '.join(parts) or 'no batch yet'}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class DrainOrder:
    """Checks the run whenever the driver has news, and signals the driver once.

    A stream that is not ready when a gate of the run has failed is ended without draining.

    Args:
        rule: when to drain.
        states: returns the states of tasks of the run.
        is_own: returns whether a process belongs to the driver, so that no other is signalled.
        give_up: ends a stream that need not become ready any more.
        say: logs a line.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        rule: StopRule,
        *,
        states: Callable[[list[str]], States],
        is_own: Callable[[int], bool],
        give_up: Callable[[], None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.was_given = False
        self._rule = rule
        self._states = states
        self._is_own = is_own
        self._give_up = give_up
        self._log = say
        self._clock = clock
        self._looked_at: float | None = None
        self._has_trouble = False
        self._last_text = ""

    def look(self, news: StreamNews) -> None:
        """Check the run, unless that was done just now or the order has been given."""
        now = self._clock()
        if self.was_given or (
            self._looked_at is not None and now - self._looked_at < _LOOK_SECONDS
        ):
            return
        self._looked_at = now
        states = self._asked()
        reason = self._rule.reason(states)
        if not reason:
            return
        waits_for = self._rule.waits_for(states)
        if waits_for:
            self._say(f"Stopping: {reason}; waiting for {named(waits_for)} to end.")
        elif news.state == "starting" and self._rule.is_hopeless(states):
            self.was_given = True
            self._say(f"Ended before it was ready: {reason}.")
            self._give_up()
        else:
            self._give(news.pid, reason)

    def _asked(self) -> States:
        """Return the states; none while Airflow does not answer."""
        try:
            states = self._states(self._rule.task_ids())
        except Exception as error:
            if not self._has_trouble:
                self._log(f"Airflow does not return the states of this run; retrying: {error}")
            self._has_trouble = True
            return {}
        self._has_trouble = False
        return states

    def _give(self, pid: int, reason: str) -> None:
        if not self._is_own(pid):
            self._say(f"Cannot drain: process {pid} does not belong to this task's driver.")
            return
        try:
            os.kill(pid, signal.SIGUSR1)
        except ProcessLookupError:
            pass  # it has ended by itself, and sent its report
        except OSError as error:
            self._say(f"Cannot drain: the driver cannot be signalled: {error}")
            return
        self.was_given = True
        self._say(f"Draining: {reason}; all upstream writers have finished.")

    def _say(self, text: str) -> None:
        if text != self._last_text:
            self._last_text = text
            self._log(text)


class Watchdog:
    """Kills a driver that has printed nothing for too long.

    The clock runs only while a line is waited for: a task that is busy itself does not read.
    Before the driver's first news another limit holds, because it may be queued on a cluster and
    print nothing.

    Args:
        limit: seconds of silence that are allowed; 0: any number, from the start.
        first: seconds that are allowed before the driver's first news.
        end: kills the driver; called once, from a thread.
        clock: a monotonic clock, in seconds.

    Attributes:
        limit: the limit that holds now.
        has_news: the driver has sent news.
        was_broken: the driver was killed.
    """

    def __init__(
        self,
        limit: float,
        first: float,
        end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = first if limit else 0.0
        self.has_news = False
        self.was_broken = False
        self._limit = limit
        self._end = end
        self._clock = clock
        self._waits_since: float | None = None

    def on_news(self) -> None:
        """Record that the driver has sent news."""
        self.has_news = True
        self.limit = self._limit

    def over(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Yield the lines; the clock runs while the next one is waited for."""
        iterator = iter(lines)
        while True:
            self._waits_since = self._clock()
            try:
                line = next(iterator)
            except StopIteration:
                return
            finally:
                self._waits_since = None
            yield line

    def look(self) -> bool:
        """Kill the driver if it has been silent for too long; return whether it was killed."""
        since = self._waits_since
        if since is None or not self.limit or self._clock() - since < self.limit:
            return False
        self.was_broken = True
        self._end()
        return True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        with checked_every(_WATCH_SECONDS, self.look, "kindling-watchdog"):
            yield
