"""The executor's log, written to the file of Spark's log."""

from __future__ import annotations

import threading
import time
from functools import partialmethod
from pathlib import Path

from kindling_airflow.common.redaction import without_secrets


class RunLog:
    """A logger, and its provider, that appends to a file which other processes append to.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def get_logger(self, _name: str) -> RunLog:
        """Return this logger."""
        return self

    def _write(self, level: str, text: str) -> None:
        now = time.strftime("%y/%m/%d %H:%M:%S")  # the format of Spark's lines
        with self._lock, self._path.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{now} {level} kindling: {without_secrets(text)}\n")

    info = partialmethod(_write, "INFO")
    warning = partialmethod(_write, "WARN")
    error = partialmethod(_write, "ERROR")
