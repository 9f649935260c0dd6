"""What a shared session's driver reports to its task: where it listens, and what runs in it.

    task of the session  <-- SessionNews, one marked line every 2 s --  driver
    task of a pipe       <-- where the session listens, as an XCom --   task of the session
    tasks                --- requests over the channel ------------->   driver

Requests, as JSON objects with ``do``:

| do | with | answer |
|---|---|---|
| ``run`` | ``request``: a run request as text | ``{}``, or ``refused``: why not |
| ``watch`` | ``attempt``, ``offset``, ``seconds`` | ``text``, ``offset``, ``report`` or null |
| ``cancel`` | ``attempt``, ``why`` | ``cancelled``: whether it was running |
| ``states`` | ``ended``, ``restarted``: pipes whose tasks have, since the last time | ``{}`` |
| ``end`` | | ``{}`` |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.protocol.contracts import _Line

__all__ = ["SECRET_VARIABLE", "SESSION_MARKER", "SessionNews", "session_news_in_line"]

SESSION_MARKER = "KINDLING-SESSION "
SECRET_VARIABLE = "KINDLING_SESSION_SECRET"  # noqa: S105 (the name of a variable)
"""The environment variable that brings the secret to the driver, which removes it."""


@dataclass(frozen=True, slots=True)
class SessionNews(_Line):
    """The state of a shared session; sent every few seconds, so that silence means a lost driver.

    Attributes:
        attempt_key: the key of the session's request.
        state: ``ready`` (it takes requests) or ``ended``.
        host, port: where it listens.
        running: the task id of each attempt that runs, by its key.
    """

    what: ClassVar[str] = "session news"
    marker: ClassVar[str] = SESSION_MARKER
    attempt_key: str
    state: str
    host: str
    port: int
    running: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


def session_news_in_line(line: str) -> str | None:
    """Return the JSON text of a session's news in a line of its driver's output, or None."""
    _, found, text = line.partition(SESSION_MARKER)
    return text.strip() if found else None
