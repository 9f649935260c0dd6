"""The channel to Airflow of a parse (variables, connections), shared with forked children.

A project may read an Airflow variable when it is imported. The process that parses a DAG file asks
the DAG processor for it on a socket, which carries one question and its answer at a time. Forked
children have that socket too, so each takes a lock on a file while it asks; and none is ended
between a question and its answer, which the next one would take for its own.
"""

from __future__ import annotations

import fcntl
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 1.0  # seconds that Airflow has to answer a child that is to be ended


class Channel:
    """Serialises requests of forked children; see :mod:`kindling_airflow.common.child.process`."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)

    def share(self) -> None:
        """Take turns with the other children from now on; called in a child."""
        runner: Any = sys.modules.get("airflow.sdk.execution_time.task_runner")
        comms: Any = getattr(runner, "SUPERVISOR_COMMS", None)
        if hasattr(comms, "_thread_lock"):
            comms._thread_lock = _Both(comms._thread_lock, self._file.fileno())

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Let no child ask in the block, as far as Airflow answers in time what one has asked."""
        end = time.monotonic() + _PATIENCE
        while not _locked(self._file.fileno()) and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)


class _Both:
    """A lock for the threads of a process, and for all processes that have the same file."""

    def __init__(self, lock: Any, descriptor: int) -> None:
        self._lock, self._descriptor = lock, descriptor

    def acquire(self, *, blocking: bool = True) -> bool:
        if not self._lock.acquire(blocking=blocking):
            return False
        if _locked(self._descriptor, blocking=blocking):
            return True
        self._lock.release()
        return False

    def release(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        self._lock.release()


def _locked(descriptor: int, *, blocking: bool = False) -> bool:
    """Lock a file for this process; return whether that was possible."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    return True
