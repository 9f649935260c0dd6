"""A stream of a session that others look after as well: how it is, and what it did.

It is what an executor's ``StreamHandle`` is to be, and fails when it stalls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from kindling_airflow.common.frozen import freeze
from kindling_airflow.errors import PipeTimeoutError
from kindling_airflow.protocol.contracts import InputReport, RunReport, RunRequest
from kindling_airflow.runner.redaction import report_without_secrets
from kindling_airflow.runner.streaming.drain_note import leftovers
from kindling_airflow.runner.streaming.running import RunningStream
from kindling_airflow.runner.streaming.stall_watch import StallWatch

_LOOK_SECONDS = 2.0


class SessionStream:
    """A running query of a session.

    Args:
        request: what was asked for.
        stream: the query.
        application_id: Spark's name for the session.
        hide: returns a text without secrets.
    """

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
        self._application_id = application_id
        self._began = time.monotonic()
        settings = stream.facts.settings
        pause = settings.trigger.seconds if settings.trigger.kind == "processing_time" else None
        self._stalls = StallWatch(settings.stall_timeout, pause or 0.0)
        self._looked = self._began
        self._stalled: PipeTimeoutError | None = None
        self._ending = False
        self._drained: dict[str, bool | None] = {}  # as soon as it was asked to
        self._lock = threading.Lock()

    def is_ready(self) -> bool:
        """Tell whether it takes in data."""
        return self._stream.is_ready()

    def is_active(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._stream.is_active()

    def error(self) -> BaseException | None:
        """Return why it failed, or that it has stalled; or None."""
        return self._stream.error() or self._stall()

    def drain(self) -> None:
        """Get done what the source has now.

        Raises:
            PipeTimeoutError: that took too long.
        """
        self._ending, self._drained = True, {"drained": False}
        self._drained = {"drained": self._stream.drain()}
        if self._drained["drained"] is False:
            settings = self._stream.facts.settings
            raise PipeTimeoutError(
                f"it was still processing data after {settings.drain_timeout:g} s; the next run "
                "goes on from its checkpoint"
            )

    def stop(self) -> None:
        """End the query; returns when it has ended."""
        self._ending = True
        self._stream.stop()

    def progress(self) -> Mapping[str, Any]:
        """Return how the query gets on, of JSON types; see ``contracts.StreamNews``."""
        return self._stream.progress()

    def report(self) -> RunReport:
        """Return what it did since it was started."""
        stream, request = self._stream, self._request
        facts, progress = stream.facts, dict(self.progress())
        note = leftovers(facts, self._drained.get("drained", True), progress)
        report = RunReport(
            attempt_key=request.attempt_key,
            pipe_id=request.pipe_id,
            status="published",
            output_entity_id=facts.output_id,
            location=facts.location,
            rows_written=stream.rows_out,
            inputs=(InputReport(facts.driving_id, stream.rows_in),),
            duration_seconds=round(time.monotonic() - self._began, 3),
            application_id=self._application_id,
            plan_digest=request.plan_digest,
            expectations=stream.expectations,
            extra=freeze(
                {
                    "output": dict(facts.description),
                    "stream": progress,
                    **self._drained,
                    **({"note": note} if note else {}),
                }
            ),
        )
        return report_without_secrets(report, self._hide)

    def _stall(self) -> PipeTimeoutError | None:
        with self._lock:
            now = time.monotonic()
            watched = self._stalled is None and not self._ending and self.is_active()
            if watched and now - self._looked >= _LOOK_SECONDS and self.is_ready():
                self._looked = now
                if self._stalls.is_stuck(self._stream.look()):
                    limit = self._stream.facts.settings.stall_timeout
                    self._stalled = PipeTimeoutError(
                        f"the query has stalled: no progress for {limit:g} s: "
                        f"{self.progress()['status']}\n"
                        "  Fix: check the Spark UI for what it is waiting for; increase "
                        "stream.stall_timeout if a single task of a batch takes longer."
                    )
            return self._stalled
