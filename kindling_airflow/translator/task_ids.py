"""Task ids: legal in Airflow, readable, bounded, and never the same for two pipes.

A task id comes from the pipe id alone, so a pipe keeps its task history when another one shifts it
into another generation. Letters, digits, dots, dashes and underscores stay; every other character
becomes ``_x<hex>_``, and an underscore that would look like the start of such an escape is escaped
itself:

    silver.orders -> silver.orders      my table -> my_x20_table      a_x -> a_x5f_x

Groups and the tasks beside the pipes share the namespace of the tasks. Their ids are reserved
(``generation_0``, ``generation_0_done``, ``ready_0``, ``stop_streams``, ``kindling_outcome``,
``kindling_session_*``), or begin with ``_x_``, which the id of a pipe's task never does.
"""

from __future__ import annotations

import hashlib
import re

from kindling_airflow.common.shared_ids import STOP_ID
from kindling_airflow.translator.session_names import SESSION_PREFIX

OUTCOME_ID = "kindling_outcome"

_LONGEST = 200  # Airflow allows 250; what is built from a task id wants room
_CUT = "-_x_"  # never part of an escaped id: neither whole escapes nor half ones go on like this
_DIGEST_LENGTH = 32
_ESCAPED = re.compile(r"_(?=x)|[^A-Za-z0-9_.\-]")
_ESCAPE = re.compile(r"_x(?P<code>[0-9a-f]{1,6})_")
_LARGEST_CODE = 0x10FFFF
_NO_GROUP = re.compile(r"_(?=x)|[^A-Za-z0-9_\-]")
_NO_TASK = "_x_"  # begins no escaped id: an escape has digits behind its x
_LONGEST_PART = 80  # Airflow allows groups 200 in all
_RESERVED = re.compile(
    rf"generation_[0-9]+(?:_done)?|ready_[0-9]+|{STOP_ID}|{OUTCOME_ID}|{SESSION_PREFIX}.+"
)


def task_id(pipe_id: str) -> str:
    """Return the task id of a pipe; injective, at most 200 characters.

    >>> task_id("silver.orders"), task_id("my table"), task_id("a_x")
    ('silver.orders', 'my_x20_table', 'a_x5f_x')
    """
    found = escaped(pipe_id)
    if _RESERVED.fullmatch(found):  # groups and tasks share one namespace
        return f"_x{ord(found[0]):x}_{found[1:]}"
    return found


def escaped(an_id: str) -> str:
    """Return an id in letters, digits, dots, dashes and underscores; injective, bounded as ids are.

    >>> escaped("generation_0")
    'generation_0'
    """
    return _bounded(_ESCAPED.sub(_escape, an_id), an_id, _LONGEST)


def unescaped(text: str) -> str:
    """Return the id of which :func:`escaped` has made a text; ids that it has cut stay cut.

    >>> unescaped("my_x20_table"), unescaped("a_x5f_x"), unescaped("_xffffff_")
    ('my table', 'a_x', '_xffffff_')
    """
    return _ESCAPE.sub(_letter, text)


def _letter(found: re.Match[str]) -> str:
    code = int(found["code"], 16)
    return chr(code) if code <= _LARGEST_CODE else found[0]


def _escape(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):x}_"


def _bounded(text: str, original: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(original.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]
    return f"{text[: longest - len(_CUT) - _DIGEST_LENGTH]}{_CUT}{digest}"


def group_id(generation: int) -> str:
    """Return the id of a generation's TaskGroup; no task id is equal to one."""
    return f"generation_{generation}"


def join_id(generation: int) -> str:
    """Return the id of the task behind a generation; no pipe's task has it."""
    return f"{group_id(generation)}_done"


def gate_id(generation: int) -> str:
    """Return the id of the task that waits for a generation's streams; no pipe's task has it."""
    return f"ready_{generation}"


def tag_group_id(tag: str, value: str, number: int) -> str:
    """Return the id of the TaskGroup of a tag's value; neither a pipe's task nor another has it.

    >>> tag_group_id("layer", "silver", 1), tag_group_id("layer", "my layer", 2)
    ('_x_layer_silver', '_x_layer_my_x20_layer-_x_2')
    """
    named = "_".join(_bounded(_NO_GROUP.sub(_escape, t), t, _LONGEST_PART) for t in (tag, value))
    return f"{_NO_TASK}{named}{f'-_x_{number}' if number > 1 else ''}"
