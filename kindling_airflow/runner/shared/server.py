"""The server of a shared driver: a thread for each connection, one answer for each request."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from kindling_airflow.errors import ReportError, SessionError
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.protocol.session_channel import accept
from kindling_airflow.runner.shared.attempts import Attempts

__all__ = ["SessionServer"]

_IDLE_SECONDS = 120.0
_LONGEST_WAIT = 20.0
_MOST_UNPROVEN = 32  # connections whose peers have not shown that they have the secret
_BACKLOG = 128


class SessionServer:
    """Listens from its creation on, and serves until the process ends.

    Args:
        host: the address to listen at.
        secret: what a client must have.
        attempts: runs the requests.

    Raises:
        OSError: the address cannot be listened at.
    """

    def __init__(self, host: str, secret: bytes, attempts: Attempts) -> None:
        self.ended = threading.Event()
        self._secret = secret
        self._attempts = attempts
        self._unproven = threading.BoundedSemaphore(_MOST_UNPROVEN)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=_BACKLOG)
        self.port = int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Begin to accept connections."""
        threading.Thread(target=self._accept_all, name="kindling-session", daemon=True).start()

    def _accept_all(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self.ended.is_set():
                    return
                continue
            if not self._unproven.acquire(blocking=False):
                connection.close()  # whoever has the secret tries again
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="kindling-client", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            channel = accept(connection, self._secret)
        finally:
            self._unproven.release()
        if channel is None:
            return
        with channel, suppress(SessionError):  # the client has gone, or is silent
            while True:
                channel.send(self._answer(channel.receive(_IDLE_SECONDS)))

    def _answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._answers[message["do"]](self, message)
        except (KeyError, TypeError, ValueError, ReportError) as error:
            return {"refused": f"the session does not understand the request: {error}"}

    def _run(self, message: Mapping[str, Any]) -> dict[str, Any]:
        refused = self._attempts.start(RunRequest.loads(message["request"]))
        return {"refused": refused} if refused else {}

    def _watch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        attempt = self._attempts.find(message["attempt"])
        if attempt is None:
            return {"refused": "the session does not know the attempt"}
        seconds = min(float(message["seconds"]), _LONGEST_WAIT)
        text, offset, report = attempt.wait(int(message["offset"]), seconds)
        return {
            "text": text,
            "offset": offset,
            "report": None if report is None else report.dumps(),
        }

    def _cancel(self, message: Mapping[str, Any]) -> dict[str, Any]:
        was_running = self._attempts.cancel(message["attempt"], str(message["why"]))
        return {"cancelled": was_running}

    def _states(self, message: Mapping[str, Any]) -> dict[str, Any]:
        self._attempts.changed(list(message["ended"]), list(message["restarted"]))
        return {}

    def _end(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self._attempts.end()
        self.ended.set()
        return {}

    _answers = {"run": _run, "watch": _watch, "cancel": _cancel, "states": _states, "end": _end}  # noqa: RUF012
