"""What a stream's driver tells of itself, put where the Airflow UI shows it: XComs and the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from airflow.providers.common.compat.sdk import redact

from kindling_airflow.common.immutable import thaw
from kindling_airflow.protocol.contracts import StreamNews
from kindling_airflow.triggers.ready import READY_KEY

__all__ = ["PROGRESS_KEY", "StreamProgress", "progress_text"]

PROGRESS_KEY = "kindling_progress"
_PUSH_SECONDS = 10.0
_LOG_SECONDS = 60.0


class StreamProgress:
    """Passes a stream's news on: at once what is new, and the numbers every ten seconds.

    Airflow may be out of reach for a while; that is no reason to end a stream. What could not be
    passed on is tried again with the next news.

    Args:
        push: pushes an XCom.
        say: puts a line into the task's log.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        push: Callable[[str, Any], Any],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._push = push
        self._say = say
        self._clock = clock
        self._began = clock()
        self._state = ""
        self._is_ready_known = False
        self._pushed_at: float | None = None
        self._logged_at = self._began
        self._logged_batch: Any = None

    def take(self, news: StreamNews) -> None:
        """Pass news on, as far as it is time to."""
        now = self._clock()
        is_new = news.state != self._state
        if is_new:
            self._state, self._pushed_at = news.state, None
            self._say(f"Stream is {news.state}, {now - self._began:.0f} s after its start")
        if news.state == "ready" and not self._is_ready_known:
            self._is_ready_known = self._passed_on(READY_KEY, _now())
        if self._pushed_at is None or now - self._pushed_at >= _PUSH_SECONDS:
            document = {"state": news.state, "at": _now(), **thaw(news.progress)}
            if self._passed_on(PROGRESS_KEY, redact(document)):
                self._pushed_at = now
        self._tell_log(news, now)

    def _tell_log(self, news: StreamNews, now: float) -> None:
        batch = news.progress.get("batch_id")
        if batch != self._logged_batch and now - self._logged_at >= _LOG_SECONDS:
            self._logged_at, self._logged_batch = now, batch
            self._say(progress_text(news))

    def _passed_on(self, key: str, value: Any) -> bool:
        try:
            self._push(key, value)
        except Exception as error:
            self._say(f"Airflow does not take XCom {key!r}, which is tried again: {error}")
            return False
        return True


def progress_text(news: StreamNews) -> str:
    """Return a stream's numbers in one line; what is not known is left out."""
    said = news.progress
    parts = [
        f"{name} {said[key]:,.6g}" if isinstance(said[key], float) else f"{name} {said[key]}"
        for name, key in (
            ("batch", "batch_id"),
            ("rows", "rows_in"),
            ("rows/s", "rows_per_second"),
            ("rows/s in", "input_rows_per_second"),
            ("lag", "lag"),
            ("rows of state", "state_rows"),
        )
        if said.get(key) is not None
    ]
    return f"Stream is {news.state}: {', '.join(parts) or 'no batch yet'}"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
