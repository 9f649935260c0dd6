"""The executor's own log lines go where Spark's go: the screen has the progress and the summary."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from kindling_airflow.common.redaction import without_secrets

__all__ = ["RunLog"]


class RunLog:
    """A logger, and what provides it, that appends to a file which others append to, too.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def get_logger(self, _name: str) -> RunLog:
        """Return the one logger that there is."""
        return self

    def info(self, text: str) -> None:
        """Write down what happens."""
        self._write("INFO", text)

    def warning(self, text: str) -> None:
        """Write down what somebody may want to look at."""
        self._write("WARN", text)

    def error(self, text: str) -> None:
        """Write down what went wrong."""
        self._write("ERROR", text)

    def _write(self, level: str, text: str) -> None:
        now = time.strftime("%y/%m/%d %H:%M:%S")  # as Spark's lines begin
        with self._lock, self._path.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{now} {level} kindling: {without_secrets(text)}\n")
