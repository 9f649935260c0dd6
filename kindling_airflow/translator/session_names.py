"""The names of sessions, and the ids of their tasks."""

from __future__ import annotations

import re
from typing import Any

from kindling_airflow.tags.values import Value

__all__ = ["OWN_DRIVER", "SESSION", "SESSION_PREFIX", "session_task_id"]

OWN_DRIVER = "pipe"
"""The value of ``session`` that gives a pipe its own driver."""

SESSION_PREFIX = "kindling_session_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,39}")


def session_task_id(name: str) -> str:
    """Return the id of a session's task; no pipe's task has it.

    >>> session_task_id("run")
    'kindling_session_run'
    """
    return f"{SESSION_PREFIX}{name}"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


SESSION = Value(
    "'pipe', 'run' or a name of letters, digits, '-' and '_'",
    {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$(?!\\n)"},
    _is_name,
)
