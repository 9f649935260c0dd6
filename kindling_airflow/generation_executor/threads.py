"""Time and threads behind an interface, so that an execution can be simulated deterministically.

The thread that executes a plan decides everything; other threads only do one piece of work each and
post a message. So receivers of signals are called in the caller's thread, one after the other, and
the executor's state needs no lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Protocol


class Threads(Protocol):
    """Runs background work of one execution, and delivers its messages."""

    def now(self) -> float:
        """Return the time in seconds, from any zero, never going back."""
        ...

    def start(self, name: str, work: Callable[[], Any]) -> None:
        """Begin a piece of work, which must not raise; what it returns becomes a message."""
        ...

    def post(self, message: Any) -> None:
        """Post a message; may be called from any thread."""
        ...

    def wait(self, seconds: float | None) -> Any:
        """Return the next message, or None if none arrives within so many seconds (None: no limit).

        A message that is already there is returned even with 0 seconds.
        """
        ...


class DaemonThreads:
    """A daemon thread for each piece of work, with the context variables of its starter.

    A pool would be joined when the interpreter ends, and a pipe that never returns would keep the
    process alive; daemon threads end with it.
    """

    def __init__(self) -> None:
        self._messages: SimpleQueue[Any] = SimpleQueue()

    def now(self) -> float:
        """Return the monotonic clock's time."""
        return time.monotonic()

    def start(self, name: str, work: Callable[[], Any]) -> None:
        """Begin a piece of work in a new thread."""
        context = copy_context()
        threading.Thread(
            target=lambda: self._messages.put(context.run(work)), name=name, daemon=True
        ).start()

    def post(self, message: Any) -> None:
        """Post a message."""
        self._messages.put(message)

    def wait(self, seconds: float | None) -> Any:
        """Return the next message, or None in time."""
        try:
            timeout = None if seconds is None else min(max(0.0, seconds), threading.TIMEOUT_MAX)
            return self._messages.get(timeout=timeout)
        except Empty:
            return None
