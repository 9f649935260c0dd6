"""Task ids: legal in Airflow, readable, bounded, and never the same for two pipes.

A task id comes from the pipe id alone, so a pipe keeps its task history when another one shifts it
into another generation. Letters, digits, dots, dashes and underscores stay; every other character
becomes ``_x<hex>_``, and an underscore that would look like the start of such an escape is escaped
itself:

    silver.orders -> silver.orders      my table -> my_x20_table      a_x -> a_x5f_x
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["group_id", "task_id"]

_LONGEST = 200  # Airflow allows 250; what is built from a task id wants room
_CUT = "-_x_"  # never part of an escaped id: neither whole escapes nor half ones go on like this
_DIGEST_LENGTH = 32
_ESCAPED = re.compile(r"_(?=x)|[^A-Za-z0-9_.\-]")
_RESERVED = re.compile(r"generation_[0-9]+")


def task_id(pipe_id: str) -> str:
    """Return the task id of a pipe; injective, at most 200 characters.

    >>> task_id("silver.orders"), task_id("my table"), task_id("a_x")
    ('silver.orders', 'my_x20_table', 'a_x5f_x')
    """
    escaped = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):x}_", pipe_id)
    if _RESERVED.fullmatch(escaped):  # groups and tasks share one namespace
        escaped = f"_x{ord(escaped[0]):x}_{escaped[1:]}"
    if len(escaped) <= _LONGEST:
        return escaped
    digest = hashlib.sha256(pipe_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{escaped[: _LONGEST - len(_CUT) - _DIGEST_LENGTH]}{_CUT}{digest}"


def group_id(generation: int) -> str:
    """Return the id of a generation's TaskGroup; no task id is equal to one."""
    return f"generation_{generation}"
