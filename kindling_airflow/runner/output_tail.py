"""The last lines that a driver prints, kept for its task where its output does not reach it.

On a cluster a driver's output ends in the cluster's logs. What the pipe prints there goes into the
file of the report as well, so that a task's log shows it in every deploy mode. What Spark's JVM
prints is not part of it.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_CHARACTERS = 64 * 1024


class OutputTail:
    """Keeps the end of what is written to standard output and standard error.

    Args:
        most: how many characters are kept at most.
    """

    def __init__(self, most: int = MOST_CHARACTERS) -> None:
        self._most = most
        self._parts: deque[str] = deque()
        self._kept = 0
        self._is_cut = False
        self._lock = threading.Lock()

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep what this process prints while the block runs; it is printed as before."""
        stdout, stderr = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = _Copied(stdout, self.keep), _Copied(stderr, self.keep)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = stdout, stderr

    def keep(self, text: str) -> None:
        """Add a text, and forget the oldest beyond the limit."""
        if len(text) > self._most:
            text, self._is_cut = text[-self._most :], True
        with self._lock:
            self._parts.append(text)
            self._kept += len(text)
            while self._kept > self._most:
                self._kept -= len(self._parts.popleft())
                self._is_cut = True

    def text(self) -> str:
        """Return what was printed last, in whole lines where the beginning is cut off."""
        with self._lock:
            text = "".join(self._parts)
            is_cut = self._is_cut
        if not is_cut:
            return text
        return f"... (the cluster's log has the output before this)\n{text.partition(chr(10))[2]}"


class _Copied:
    """A stream that copies what is written to it."""

    def __init__(self, stream: Any, keep: Any) -> None:
        self._stream = stream
        self._keep = keep

    def write(self, text: str) -> Any:
        """Write to the stream, and keep a copy."""
        written = self._stream.write(text)
        self._keep(text)
        return written

    def writelines(self, lines: Any) -> None:
        """Write lines to the stream, and keep copies."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
