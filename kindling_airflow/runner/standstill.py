"""Lets a driver whose machine stood still wait before it publishes.

A machine that was frozen, suspended or cut off from its clock goes on where it was. Meanwhile its
task may have been marked or retried elsewhere. The task's supervisor learns that at its next
heartbeat, which is due at once, and kills the driver. So the driver waits for as long as that may
take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Standstill", "boot_time"]

_BEAT_SECONDS = 1.0
_STOOD_STILL_SECONDS = 30.0
_SETTLE_SECONDS = 20.0  # a heartbeat every 5 s, and Airflow kills within 10 s


def boot_time() -> float:
    """Return seconds, also of the time in which the machine was suspended."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class Standstill:
    """Notes when this process has stood still.

    Args:
        clock: seconds that go on while the process does not run.
        pause: waits for some seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = boot_time, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._beat_at = clock()
        self._woke_at: float | None = None

    def watch(self) -> None:
        """Look at the clock from a thread, until the process ends."""

        def beats() -> None:
            while True:
                time.sleep(_BEAT_SECONDS)
                self.beat()

        threading.Thread(target=beats, name="kindling-standstill", daemon=True).start()

    def beat(self) -> None:
        """Look at the clock once."""
        now = self._clock()
        if now - self._beat_at > _STOOD_STILL_SECONDS:
            self._woke_at = now
        self._beat_at = now

    def settle(self) -> None:
        """Return when the process has run for a while since it last stood still."""
        self.beat()
        while self._woke_at is not None:
            left = self._woke_at + _SETTLE_SECONDS - self._clock()
            if left <= 0:
                self._woke_at = None
                return
            self._pause(min(left, _BEAT_SECONDS))
            self.beat()
