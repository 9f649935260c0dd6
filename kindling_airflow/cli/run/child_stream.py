"""The handle of a stream that runs in the session of another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kindling_airflow.common.immutable import EMPTY

_NOT_YET: Mapping[str, Any] = {"active": True, "ready": False, "error": None}


class ChildStream:
    """The last state of the stream that the session reported.

    Args:
        pipe_id: the pipe.
        do: lets the session ``drain`` or ``stop`` a pipe and waits for it; raises if it cannot.
        end: returns how the session has ended, or None while it runs.
    """

    def __init__(
        self, pipe_id: str, do: Callable[[str, str], None], end: Callable[[], str | None]
    ) -> None:
        self._pipe_id = pipe_id
        self._do = do
        self._end = end
        self._news = _NOT_YET

    def take(self, news: Mapping[str, Any]) -> None:
        """Handle a report of the session."""
        self._news = news

    def is_ready(self) -> bool:
        """Return whether it processes data."""
        return bool(self._news["ready"])

    def is_active(self) -> bool:
        """Return whether it has not ended yet."""
        return bool(self._news["active"]) and self._end() is None

    def error(self) -> str | None:
        """Return why it failed, or None; the end of the session fails what still ran."""
        news = self._news
        if news["error"] is not None or not news["active"]:
            error: str | None = news["error"]
            return error
        return self._end()

    def drain(self) -> None:
        """Process what has arrived."""
        self._do("drain", self._pipe_id)

    def stop(self) -> None:
        """End, and return when it has ended."""
        self._do("stop", self._pipe_id)

    def report(self) -> Mapping[str, Any] | None:
        """Return its report; None if the session sent none."""
        return self._news.get("report")

    @property
    def progress(self) -> Mapping[str, Any]:
        """The progress of the query; see ``contracts.StreamNews``."""
        return self._news.get("progress") or EMPTY
