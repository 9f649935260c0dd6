"""Tracks whether the user has interrupted: user code may raise ``KeyboardInterrupt`` by itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noticed_interrupts() -> Iterator[Callable[[], bool]]:
    """Notice a SIGINT, which does what it does all the same.

    Yields:
        a function that returns whether one has come. Python handles signals in the main thread
        alone, so that in another one it never has.
    """
    came: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False
        return

    def notice(number: int, frame: Any) -> None:
        came.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, notice)
    try:
        yield lambda: bool(came)
    finally:
        if signal.getsignal(signal.SIGINT) is notice:  # else the user code has set its own
            signal.signal(signal.SIGINT, before)
