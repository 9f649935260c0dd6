"""Calls of other people's streams that may take long, or for ever: each is waited for in vain once.

A call runs in a daemon thread of its own. When its time is up the caller goes on; what the call
still brings is seen to.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from kindling_airflow.errors import PipeTimeoutError
from kindling_airflow.generation_executor.runners import StreamHandle, StreamStarter
from kindling_airflow.generation_executor.threads import Threads


@dataclass(frozen=True, slots=True)
class Started:
    """A call of ``start`` has returned: the stream, or why there is none."""

    handle: StreamHandle | None
    error: BaseException | None


class Starting:
    """One call of ``start``. If it is given up, a stream that comes later is stopped at once."""

    def __init__(self, starter: StreamStarter, pipe_id: str) -> None:
        self._starter = starter
        self._pipe_id = pipe_id
        self._lock = threading.Lock()
        self._given_up = False
        self._handle: StreamHandle | None = None

    def run(self) -> Started:
        """Start the stream; nothing is raised."""
        try:
            handle = self._starter.start(self._pipe_id)
            if not isinstance(handle, StreamHandle):
                raise TypeError(
                    f"start({self._pipe_id!r}) returned a {type(handle).__name__} where a stream's "
                    "handle belongs\n  Fix: return an object with is_ready, is_active, error, "
                    "drain and stop."
                )
        except BaseException as error:
            return Started(None, error)
        with self._lock:
            self._handle = handle
            too_late = self._given_up
        if too_late:
            try:
                handle.stop()
            except BaseException as error:
                return Started(None, error)
        return Started(handle, None)

    def give_up(self) -> StreamHandle | None:
        """Wait no more; return the stream if there is one after all."""
        with self._lock:
            self._given_up = True
            return self._handle


def trouble_in(
    call: Callable[[], object], what: str, seconds: float, threads: Threads
) -> BaseException | None:
    """Make a call and return what went wrong: its own error, or that it took too long.

    Args:
        call: what to call.
        what: what it does, for the error and the thread's name.
        seconds: how long it may take.
        threads: time and threads of this call alone.
    """

    def run() -> Started:
        try:
            call()
        except BaseException as error:
            return Started(None, error)
        return Started(None, None)

    threads.start(f"kindling-{what}", run)
    message = threads.wait(seconds)
    if message is None:
        return PipeTimeoutError(f"{what} took longer than {seconds:g} s")
    error: BaseException | None = message.error
    return error
