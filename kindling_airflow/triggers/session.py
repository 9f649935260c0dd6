"""Fires when an attempt in a shared driver has ended, or its driver is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from kindling_airflow.errors import SessionError
from kindling_airflow.protocol.session_channel import Channel
from kindling_airflow.triggers.session_access import SessionPlace

__all__ = ["SessionTrigger"]

_INTERVAL_SECONDS = 1.0
_ASK_SECONDS = 15.0
_LOST_SECONDS = 20.0
_BEHIND_ALL = 2**62  # no output is asked for, only whether it has ended


class SessionTrigger(BaseTrigger):
    """Watches one attempt; its arguments are its whole state, so another triggerer continues it.

    Args:
        place: where the driver listens, as a JSON document.
        attempt_key: the attempt.
    """

    def __init__(self, place: Mapping[str, Any], attempt_key: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place = dict(place)
        self.attempt_key = attempt_key
        self._channel: Channel | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            "place": self.place,
            "attempt_key": self.attempt_key,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an event."""
        answered = time.monotonic()
        while True:
            state = await asyncio.to_thread(self._look)
            if state == "running":
                answered = time.monotonic()
            elif state == "ended" or time.monotonic() - answered > _LOST_SECONDS:
                yield TriggerEvent({"state": state})  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(_INTERVAL_SECONDS)

    async def cleanup(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()

    def _look(self) -> str:
        place = SessionPlace.from_json(self.place)
        try:
            if place is None:
                return "lost"
            if self._channel is None:
                self._channel = place.connect()
            message = {
                "do": "watch",
                "attempt": self.attempt_key,
                "offset": _BEHIND_ALL,
                "seconds": 0,
            }
            answer = self._channel.ask(message, _ASK_SECONDS)
        except SessionError:
            if self._channel is not None:
                self._channel.close()
                self._channel = None
            return "lost"
        return "running" if answer.get("report") is None and "refused" not in answer else "ended"
