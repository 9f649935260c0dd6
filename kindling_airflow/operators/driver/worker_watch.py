"""Ends a task whose supervisor has died: nobody hears of it any more, and its retry will begin.

A worker that dies without a word leaves the task's process waiting for its driver, and the driver
working. Airflow misses the heartbeat and starts the next try; then two drivers would run at once.
The kernel tells a driver of the death of the task's process (see ``driver_process``); this tells
the task's process of the death of its own parent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ending_with_the_worker"]

_INTERVAL_SECONDS = 1.0
_STATUS = 70


@contextmanager
def ending_with_the_worker(
    end_driver: Callable[[], None], interval: float = _INTERVAL_SECONDS
) -> Iterator[None]:
    """Watch the parent process while the block runs.

    Args:
        end_driver: is called when the parent is gone; then this process ends, without a word.
        interval: seconds between two looks.
    """
    done = threading.Event()
    parent = os.getppid()

    def watch() -> None:
        while not done.wait(interval):
            if os.getppid() != parent:
                try:
                    end_driver()
                finally:
                    os._exit(_STATUS)

    watcher = threading.Thread(target=watch, name="kindling-worker-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
