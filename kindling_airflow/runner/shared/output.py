"""What each pipe of a shared driver prints goes to its own task, whichever thread prints it.

``sys.stdout`` and ``sys.stderr`` are replaced by an object that looks whose thread is writing. What
goes past them (child processes, C code, Python workers of Spark) is in the log of the session.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from typing import Any

__all__ = ["OWNER", "RoutedOutput", "Transcript", "owner_of_thread", "route_output"]

OWNER = "_kindling_attempt"
"""The attribute of a thread that holds whose it is."""

_LONGEST = 2_000_000


def owner_of_thread() -> Any:
    """Return the attempt that the current thread works for; None for the session's own."""
    return getattr(threading.current_thread(), OWNER, None)


class Transcript:
    """The text that one attempt has printed, of which the last part is kept."""

    def __init__(self, longest: int = _LONGEST) -> None:
        self.changed = threading.Condition()
        self._longest = longest
        self._text = ""
        self._start = 0  # the place of the first character that is kept

    def write(self, text: str) -> None:
        """Add text."""
        with self.changed:
            self._text += text
            excess = len(self._text) - self._longest
            if excess > self._longest // 4:  # not at every write
                self._text = self._text[excess:]
                self._start += excess
            self.changed.notify_all()

    def read(self, offset: int) -> tuple[str, int]:
        """Return the text from a place on, and the place behind it."""
        with self.changed:
            end = self._start + len(self._text)
            lost = self._start - offset
            text = self._text[max(0, offset - self._start) :]
        return (f"... {lost:,} characters are missing\n{text}" if lost > 0 else text), end


class RoutedOutput(io.TextIOBase):
    """A text stream that sends what a thread writes to the attempt that the thread works for.

    Args:
        own: takes what other threads write.
    """

    def __init__(self, own: Any) -> None:
        self._own = own

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream behind it."""
        return str(self._own.encoding)

    @property
    def buffer(self) -> Any:
        """The bytes of the stream behind it, which are the session's."""
        return self._own.buffer

    def fileno(self) -> int:
        """Return the descriptor of the stream behind it."""
        return int(self._own.fileno())

    def isatty(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write text where it belongs."""
        owner = owner_of_thread()
        if owner is None:
            self._own.write(text)
        else:
            owner.transcript.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind it."""
        self._own.flush()


def route_output() -> None:
    """Replace the standard output and error of this process, also for loggers that have them."""
    own = {id(stream): RoutedOutput(stream) for stream in (sys.stdout, sys.stderr)}
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for logger in loggers:
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and id(handler.stream) in own:
                handler.setStream(own[id(handler.stream)])
    sys.stdout, sys.stderr = own[id(sys.stdout)], own[id(sys.stderr)]
