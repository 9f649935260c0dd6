"""A pipe's use of the session of its run: find it, ask it to run the pipe, follow, cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, conf
from airflow.sdk.log import mask_secret

from kindling_airflow.errors import SessionError
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.protocol.session_channel import Channel
from kindling_airflow.triggers.run_states import ended
from kindling_airflow.triggers.session_access import SESSION_KEY, SessionPlace, secret_key

__all__ = ["SharedDriver", "begin_in_session", "find_session", "wait_seconds"]

_PAUSE_SECONDS = 0.5
_WATCH_SECONDS = 10.0
_ASK_SECONDS = 30.0
_KILL_SECONDS = 3.0
_RECONNECT_SECONDS = 8.0


def wait_seconds() -> float:
    """Return how long a pipe waits in its worker: ``[kindling] session_wait_seconds``.

    After that it waits in the triggerer. 0: it waits in its worker until it has ended.
    """
    return float(conf.getfloat("kindling", "session_wait_seconds", fallback=60.0))


def _start_seconds() -> float:
    return float(conf.getfloat("kindling", "session_start_seconds", fallback=120.0))


def find_session(
    ti: Any, task_id: str, clock: Callable[[], float] = time.monotonic
) -> tuple[SessionPlace | None, Channel | None, str]:
    """Return where the session of a run listens, with a channel to it; or why there is none.

    A session that has not announced itself yet is waited for, for a while.

    Args:
        ti: the task instance of the pipe.
        task_id: the task of the session.
        clock: a monotonic clock, in seconds.
    """
    if not secret_key():
        return None, None, "the deployment sets neither [kindling] session_secret nor a Fernet key"
    is_retry, deadline = ti.try_number > 1, clock() + _start_seconds()
    while True:
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[task_id])
        found = states.get(ti.run_id, {})
        state = found.get(task_id)
        if ended(found, task_id):
            return None, None, f"it has ended ({state or 'it is not part of this run'})"
        why = f"it is {state or 'not scheduled'} and does not listen yet"
        place = None
        if state == "running":
            place = SessionPlace.from_json(ti.xcom_pull(task_ids=task_id, key=SESSION_KEY))
        if place is not None and is_retry and place.generation > 1:
            return (
                None,
                None,
                ("its driver has died in this run, and this is another try of the pipe"),
            )
        if place is not None:
            try:
                return place, place.connect(), ""
            except SessionError as error:
                why = str(error)
        if is_retry or clock() >= deadline:
            return None, None, why
        time.sleep(_PAUSE_SECONDS)


def begin_in_session(ti: Any, task_id: str, request: RunRequest) -> tuple[SharedDriver | None, str]:
    """Ask the session of a run to run a pipe; return its driver, or why it does not run it.

    Args:
        ti: the task instance of the pipe.
        task_id: the task of the session.
        request: what to run.
    """
    place, channel, refused = find_session(ti, task_id)
    if place is None:
        return None, refused
    shared = SharedDriver(place, request.attempt_key, channel=channel)
    try:
        refused = shared.begin(request)
    except SessionError as error:
        refused = str(error)
    if refused:
        shared.close()
        return None, refused
    return shared, ""


class SharedDriver:
    """One attempt of a pipe in the driver of a session.

    Args:
        place: where the driver listens.
        attempt_key: of the attempt.
        offset: how much of its output has been seen.
        channel: to the driver, if there is one already.

    Attributes:
        report: the JSON text of its report, once it has ended.
        offset: how much of its output has been seen: whole lines.
    """

    def __init__(
        self,
        place: SessionPlace,
        attempt_key: str,
        offset: int = 0,
        channel: Channel | None = None,
    ) -> None:
        self.place = place
        self.attempt_key = attempt_key
        self.offset = offset
        self.report: str | None = None
        self._channel = channel
        mask_secret(place.secret().hex())

    def begin(self, request: RunRequest) -> str:
        """Ask the driver to run a request; return why it refuses, or "".

        Raises:
            SessionError: it does not answer.
        """
        answer = self._connected().ask({"do": "run", "request": request.dumps()}, _ASK_SECONDS)
        return str(answer.get("refused", ""))

    def lines(self, seconds: float = 0.0) -> Iterator[str]:
        """Yield the lines of the attempt until it has ended.

        Args:
            seconds: how long at most; 0: until it has ended.

        Raises:
            AirflowException: the driver is lost.
        """
        deadline = time.monotonic() + seconds if seconds else float("inf")
        pending, read = "", self.offset
        while self.report is None and time.monotonic() < deadline:
            wait = max(0.0, min(_WATCH_SECONDS, deadline - time.monotonic()))
            answer = self._watch(read, wait)
            read, self.report = int(answer["offset"]), answer["report"]
            *whole, pending = (pending + answer["text"]).split("\n")
            yield from whole
            self.offset = read - len(pending)
        if self.report is not None and pending:
            self.offset = read
            yield pending

    def cancel(self, why: str) -> None:
        """Ask the driver to cancel the attempt; whatever comes of it, this returns soon."""
        message = {"do": "cancel", "attempt": self.attempt_key, "why": why}
        with suppress(SessionError), self.place.connect() as channel:
            channel.ask(message, _KILL_SECONDS)

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _watch(self, offset: int, seconds: float) -> dict[str, Any]:
        message = {
            "do": "watch",
            "attempt": self.attempt_key,
            "offset": offset,
            "seconds": seconds,
        }
        deadline: float | None = None
        while True:
            try:
                answer = self._connected().ask(message, seconds + _ASK_SECONDS)
            except SessionError as error:
                self.close()
                deadline = deadline or time.monotonic() + _RECONNECT_SECONDS
                if time.monotonic() >= deadline:
                    raise AirflowException(self._lost(str(error))) from error
                time.sleep(_PAUSE_SECONDS)
                continue
            if "refused" in answer:
                raise AirflowException(self._lost(str(answer["refused"])))
            return answer

    def _connected(self) -> Channel:
        if self._channel is None:
            self._channel = self.place.connect()
        return self._channel

    def _lost(self, why: str) -> str:
        return (
            f"the driver of session {self.place.task_id!r} was lost while this pipe ran in it: "
            f"{why}. Nothing proves that its output was published; a retry starts its own "
            "driver\n"
            "  Fix: see the log of the session's task; another pipe in it may have used up the "
            "memory. A pipe that needs its own driver gets one by 'session: pipe'."
        )
