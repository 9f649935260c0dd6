"""A stream that runs in the session of another process: the handle on this side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kindling_airflow.common.immutable import EMPTY

__all__ = ["ChildStream"]

_NOT_YET: Mapping[str, Any] = {"active": True, "ready": False, "error": None}


class ChildStream:
    """How the stream was when the session last said so, several times a second.

    Args:
        pipe_id: the pipe.
        do: has the session do ``drain`` or ``stop``, and returns when it has; raises if it cannot.
        end: returns how the session has ended, or None while it has not.
    """

    def __init__(
        self, pipe_id: str, do: Callable[[str, str], None], end: Callable[[], str | None]
    ) -> None:
        self._pipe_id = pipe_id
        self._do = do
        self._end = end
        self._news = _NOT_YET

    def take(self, news: Mapping[str, Any]) -> None:
        """Take what the session says of the stream."""
        self._news = news

    def is_ready(self) -> bool:
        """Tell whether it takes in data."""
        return bool(self._news["ready"])

    def is_active(self) -> bool:
        """Tell whether it has not ended yet."""
        return bool(self._news["active"]) and self._end() is None

    def error(self) -> str | None:
        """Return why it failed, or None; a session that has ended has failed what still ran."""
        news = self._news
        if news["error"] is not None or not news["active"]:
            error: str | None = news["error"]
            return error
        return self._end()

    def drain(self) -> None:
        """Work off what has arrived."""
        self._do("drain", self._pipe_id)

    def stop(self) -> None:
        """End; returns when it has."""
        self._do("stop", self._pipe_id)

    def report(self) -> Mapping[str, Any] | None:
        """Return what it did; None if the session did not come to say it."""
        return self._news.get("report")

    @property
    def progress(self) -> Mapping[str, Any]:
        """How the query gets on; see ``contracts.StreamNews``."""
        return self._news.get("progress") or EMPTY
