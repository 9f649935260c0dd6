"""A stream of a shared session: its state, and what it did.

Implements an executor's ``StreamHandle``; it fails when it stalls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kindling_airflow.errors import PipeTimeoutError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.runner.redaction import report_without_secrets
from kindling_airflow.runner.streaming.report import stall_watch_of, stalled, stream_report
from kindling_airflow.runner.streaming.running import RunningStream

_LOOK_SECONDS = 2.0


class SessionStream:
    """A running query of a session."""

    def __init__(
        self,
        request: RunRequest,
        stream: RunningStream,
        application_id: str,
        hide: Callable[[str], str] = str,
    ) -> None:
        self._hide = hide
        self._request = request
        self._stream = stream
        self._settings = stream.facts.settings
        self._application_id = application_id
        self._began = self._looked = time.monotonic()
        self._stalls = stall_watch_of(self._settings)
        self._stalled: PipeTimeoutError | None = None
        self._ending = False
        self._drained: dict[str, bool | None] = {}  # not empty once draining was requested
        self._lock = threading.Lock()

    def is_ready(self) -> bool:
        """Return whether it processes data."""
        return self._stream.is_ready()

    def is_active(self) -> bool:
        """Return whether it has not ended yet."""
        return self._stream.is_active()

    def error(self) -> BaseException | None:
        """Return why it failed, or that it has stalled; or None."""
        return self._stream.error() or self._stall()

    def drain(self) -> None:
        """Process what the source has now.

        Raises:
            PipeTimeoutError: that took too long.
        """
        self._ending, self._drained = True, {"drained": False}
        self._drained = {"drained": self._stream.drain()}
        if self._drained["drained"] is False:
            raise PipeTimeoutError(
                f"it was still processing data after {self._settings.drain_timeout:g} s; the next "
                "run continues from its checkpoint"
            )

    def stop(self) -> None:
        """End the query; returns when it has ended."""
        self._ending = True
        self._stream.stop()

    def progress(self) -> Mapping[str, Any]:
        """Return the query's progress, of JSON types; see ``contracts.StreamNews``."""
        return self._stream.progress()

    def report(self) -> RunReport:
        """Return what it did since it was started."""
        report = stream_report(
            self._request,
            self._stream,
            seconds=time.monotonic() - self._began,
            application_id=self._application_id,
            drained=self._drained,
        )
        return report_without_secrets(report, self._hide)

    def _stall(self) -> PipeTimeoutError | None:
        with self._lock:
            now = time.monotonic()
            watched = self._stalled is None and not self._ending and self.is_active()
            if watched and now - self._looked >= _LOOK_SECONDS and self.is_ready():
                self._looked = now
                if self._stalls.is_stuck(self._stream.look()):
                    self._stalled = stalled("the query", self._settings, self.progress()["status"])
            return self._stalled
