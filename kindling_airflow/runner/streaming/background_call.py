"""A call that may never return, in its own thread, which ends with the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class BackgroundCall:
    """A call that has begun.

    Attributes:
        thread: what makes it.
        result: what it has returned.
        error: what it has raised.
    """

    thread: threading.Thread
    result: Any = None
    error: BaseException | None = None

    @classmethod
    def begin(cls, name: str, call: Callable[[], Any]) -> BackgroundCall:
        """Begin a call."""

        def run() -> None:
            try:
                work.result = call()
            except BaseException as error:
                work.error = error

        work = cls(threading.Thread(target=run, name=f"kindling-{name}", daemon=True))
        work.thread.start()
        return work

    def is_done(self, within: float = 0.0) -> bool:
        """Return whether it is done, or gets done within so many seconds; raises what it raised."""
        self.thread.join(max(0.0, within))
        if self.thread.is_alive():
            return False
        if self.error is not None:
            raise self.error
        return True
