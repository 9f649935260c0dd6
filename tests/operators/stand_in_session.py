"""A driver of a session that answers as a test says, and what Airflow knows of its task."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from kindling_airflow.errors import SessionError
from kindling_airflow.protocol.contracts import RunReport, RunRequest
from kindling_airflow.protocol.session_channel import Channel, accept
from kindling_airflow.triggers.session_access import SessionPlace

KEY = "the deployment's key"
TASK = "kindling_session_run"


@dataclass
class StandInSession:
    """Serves one session.

    Attributes:
        text: what the pipe prints.
        report: changes to the report of the pipe; None: it has not ended.
        refuses: why it does not run the pipe, or "".
        hang_ups: how many questions it answers by closing the connection.
        asked: every message that it got.
    """

    listener: socket.socket
    text: str = ""
    report: Mapping[str, Any] | None = field(default_factory=lambda: {"status": "published"})
    refuses: str = ""
    hang_ups: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    on_ask: Callable[[dict[str, Any]], None] = lambda _: None
    attempt: str = "session-1"
    generation: int = 1
    request: RunRequest | None = None

    @property
    def place(self) -> SessionPlace:
        """Where it listens."""
        port = self.listener.getsockname()[1]
        return SessionPlace("dag", "run", TASK, self.attempt, "127.0.0.1", port, self.generation)

    def doing(self, what: str) -> list[dict[str, Any]]:
        """Return the messages of a kind."""
        return [message for message in self.asked if message["do"] == what]

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        channel = accept(connection, self.place.secret(), 10.0)
        if channel is not None:
            with channel, suppress(SessionError):
                while self._answer(channel):
                    pass

    def _answer(self, channel: Channel) -> bool:
        message = channel.receive(60.0)
        self.asked.append(message)
        self.on_ask(message)
        if self.hang_ups and message["do"] == "watch":
            self.hang_ups -= 1
            return False
        channel.send(self._said(message))
        return True

    def _said(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if message["do"] == "run":
            self.request = RunRequest.loads(message["request"])
            return {"refused": self.refuses} if self.refuses else {}
        if message["do"] == "watch":
            return {
                "text": self.text[message["offset"] :],
                "offset": max(len(self.text), 0),
                "report": None if self.report is None else self._report(message["attempt"]),
            }
        return {}

    def _report(self, attempt: str) -> str:
        said = {
            "attempt_key": attempt,
            "pipe_id": "pipe",
            "output_entity_id": "out",
            "rows_written": 3,
            **(self.report or {}),
        }
        return RunReport(**said).dumps()


@contextmanager
def stand_in_session(**said: Any) -> Iterator[StandInSession]:
    """Serve a session for the time of a block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        session = StandInSession(listener, **said)
        threading.Thread(target=session.serve, daemon=True).start()
        try:
            yield session
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


class Airflow:
    """What a task asks Airflow: the states of a run's tasks and the XComs of others.

    Args:
        states: by task id; or a list of such, one for each look, the last of which stays.
        place: where the session listens; or a list of places, likewise.
    """

    def __init__(self, states: Any, place: Any = None) -> None:
        self._states = states if isinstance(states, list) else [states]
        self._places = place if isinstance(place, list) else [place]

    def get_task_states(self, **_: Any) -> Any:
        """Return the states."""
        found = self._next(self._states)
        if isinstance(found, Exception):
            raise found
        return {"run": found}

    def xcom_pull(self, **_: Any) -> Any:
        """Return the place of the session."""
        place = self._next(self._places)
        return None if place is None else place.to_json()

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        return answers.pop(0) if len(answers) > 1 else answers[0]
