"""Calls of user streams that may take long or never return, each in its own daemon thread.

When its time is up the caller goes on; a stream that starts too late is stopped.
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
    """A call of ``start`` has returned: the stream, or the error."""

    handle: StreamHandle | None
    error: BaseException | None


class Starting:
    """One call of ``start``. Once it is abandoned, a stream that starts later is stopped."""

    def __init__(self, starter: StreamStarter, pipe_id: str) -> None:
        self._starter = starter
        self._pipe_id = pipe_id
        self._lock = threading.Lock()
        self._abandoned = False
        self._handle: StreamHandle | None = None

    def run(self) -> Started:
        """Start the stream; nothing is raised."""
        try:
            handle = self._starter.start(self._pipe_id)
            if not isinstance(handle, StreamHandle):
                raise TypeError(
                    f"start({self._pipe_id!r}) returned an object of type "
                    f"{type(handle).__name__}, not a StreamHandle\n"
                    "  Fix: return an object with is_ready, is_active, error, drain and stop."
                )
        except BaseException as error:
            return Started(None, error)
        with self._lock:
            self._handle = handle
            too_late = self._abandoned
        if too_late:
            try:
                handle.stop()
            except BaseException as error:
                return Started(None, error)
        return Started(handle, None)

    def abandon(self) -> StreamHandle | None:
        """Stop waiting; return the stream if it has started after all."""
        with self._lock:
            self._abandoned = True
            return self._handle


def trouble_in(
    call: Callable[[], object], what: str, seconds: float, threads: Threads
) -> BaseException | None:
    """Make a call; return its error, or that it took longer than so many seconds, or None."""

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
