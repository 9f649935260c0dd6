"""Threads that watch while a driver runs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["checked_every", "ending_with_the_worker"]

_INTERVAL_SECONDS = 1.0
_STATUS = 70


@contextmanager
def checked_every(seconds: float, check: Callable[[], bool], name: str) -> Iterator[None]:
    """Call a function from a thread, until it returns True, while the block runs."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(seconds):
            if check():
                return

    watcher = threading.Thread(target=watch, name=name, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


@contextmanager
def ending_with_the_worker(end_driver: Callable[[], None]) -> Iterator[None]:
    """End the driver and this process when the task's supervisor dies while the block runs.

    A supervisor that is killed leaves the task's process waiting for its driver. Airflow misses the
    heartbeat and starts the next try; then two drivers would run at once.

    Args:
        end_driver: called when the parent process is gone, before this process exits.
    """
    parent = os.getppid()

    def check() -> bool:
        if os.getppid() != parent:
            try:
                end_driver()
            finally:
                os._exit(_STATUS)
        return False

    with checked_every(_INTERVAL_SECONDS, check, "kindling-worker-watch"):
        yield
