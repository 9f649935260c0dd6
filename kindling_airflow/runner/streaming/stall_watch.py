"""Detects a stalled query: it has something to do and makes no progress.

    busy     a batch runs, or the source has more
    idle     the source has nothing: then any time may pass

What gets done are batches, within a long batch its Spark tasks, and the answers of a source that is
asked for news.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Look:
    """The state of a query at one time.

    Attributes:
        at: the time, in seconds of a monotonic clock.
        message: Spark's words for what the query does.
        has_data: whether its source has more.
        is_working: whether it does anything at all.
        done: changes whenever something got done.
        asks_since: names the look at the source that is under way, if the query is asking it for
            news; None if it is not, or if that is unknown.
    """

    at: float
    message: str
    has_data: bool
    is_working: bool
    done: Hashable
    asks_since: int | None = None

    @property
    def is_busy(self) -> bool:
        """Whether something is to be done.

        That a source is asked for news is nothing to be done, for it is asked all the time; but
        each single answer is.
        """
        asking = self.message.startswith(("Getting offsets", "Waiting for data"))
        return self.has_data or (self.is_working and (not asking or self.asks_since is not None))

    @property
    def work(self) -> Hashable:
        """What is to be done, together with how far it is."""
        return self.done, None if self.has_data else self.asks_since


@dataclass(slots=True)
class StallWatch:
    """Finds out that nothing gets done.

    Attributes:
        limit: after how many seconds; 0 for never.
        pause: seconds that the query waits by itself between two batches.
    """

    limit: float
    pause: float = 0.0
    _last: Look | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def seconds_stuck(self, look: Look) -> float:
        """Return for how long nothing has got done, as of this look."""
        last, self._last = self._last, look
        if last is None or not look.is_busy or not last.is_busy or last.work != look.work:
            self._since = look.at
        return look.at - self._since

    def is_stuck(self, look: Look) -> bool:
        """Return whether nothing has got done for too long."""
        return self.seconds_stuck(look) >= self.limit + self.pause and self.limit > 0
