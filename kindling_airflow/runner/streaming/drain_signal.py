"""SIGUSR1 says: drain. Its handler sets a flag, and from then on the signal does no harm."""

from __future__ import annotations

import signal
import threading


class DrainSignal:
    """Whether the stream of this process is to drain.

    The handler does nothing but set an attribute: it may run in the middle of anything, where a
    lock (an Event has one) may be held by the very code that it interrupts.
    """

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """Take the signal from now on; it has to be called by the main thread to have an effect."""
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGUSR1"):
            signal.signal(signal.SIGUSR1, self._take)

    def _take(self, _number: int, _frame: object) -> None:
        self.asked = True
