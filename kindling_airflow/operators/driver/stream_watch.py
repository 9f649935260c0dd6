"""A driver that says nothing is dead or frozen: somebody has to end it, or its task waits for ever.

A stream's driver says how it is every two seconds, and the task reads. A JVM that is frozen, or
that collects garbage and does nothing else, neither speaks nor ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["SilenceWatch"]

_LOOK_SECONDS = 0.5


class SilenceWatch:
    """Ends what it watches when no line has come for so long.

    The clock runs only while a line is waited for: a task that is busy itself hears nothing, and
    that is not its driver's fault.

    Until the driver has told how it is, another limit holds: it may be waiting for its turn in the
    queue of a cluster, and log nothing.

    Args:
        limit: seconds of silence that it puts up with; 0: as many as there are, from the start.
        first: seconds of silence that it puts up with until the driver has told how it is.
        end: ends the driver; called once, by a thread of the watch.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        limit: float,
        first: float,
        end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = first if limit else 0.0
        self.has_told = False
        self.was_broken = False
        self._limit = limit
        self._end = end
        self._clock = clock
        self._waits_since: float | None = None

    def told(self) -> None:
        """Take note that the driver has told how it is."""
        self.has_told = True
        self.limit = self._limit

    def over(self, lines: Iterable[Any]) -> Iterator[Any]:
        """Return the lines; while the next one is waited for, the clock runs."""
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
        """End the driver if it has been silent for too long; return whether it was ended."""
        since = self._waits_since
        if since is None or not self.limit or self._clock() - since < self.limit:
            return False
        self.was_broken = True
        self._end()
        return True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                if self.look():
                    return

        watcher = threading.Thread(target=watch, name="kindling-silence", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
