"""Valid values of tags and similar settings: in words, for an editor, and as a check.

    Value("a whole number of at least 1", {"type": "integer", "minimum": 1}, fits, read)

Numbers may be written as text, as tags often are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.durations import positive_seconds
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.wording import did_you_mean

__all__ = [
    "ANY",
    "BOOLEAN",
    "COUNT",
    "DELAY",
    "DURATION",
    "FACTOR",
    "FINITE",
    "LIMIT",
    "POSITIVE",
    "SLOTS",
    "TEXT",
    "Value",
    "as_number",
    "choice",
    "whole",
]

_LARGEST = 2**31 - 1  # Airflow's database columns
_YEAR = 31_536_000


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Value:
    """One kind of value.

    Attributes:
        text: what it is, as in "must be ...".
        schema: the same as JSON Schema.
        fits: whether a value is one, once it has been read; None where its reader checks it.
        read: makes a number of a text.
        choices: all that it may be, if that is a list.
    """

    text: str
    schema: Mapping[str, Any]
    fits: Callable[[Any], bool] | None = None
    read: Callable[[Any], Any] = _same
    choices: tuple[str, ...] = ()

    def problems(self, what: str, value: Any) -> list[str]:
        """Return what is wrong with a value that has been read.

        >>> choice("run", "skip").problems("tag on_empty_input", "skp")[0].splitlines()
        ["tag on_empty_input is 'skp'. Did you mean 'skip'?", '  Fix: use one of run, skip.']
        >>> SLOTS.problems("pool_slots", 0)
        ['pool_slots must be a whole number of at least 1, not 0']
        """
        if self.fits is None or self.fits(value):
            return []
        if self.choices:
            hint = did_you_mean(str(value), self.choices)
            shown = f"{what} is {thaw(value)!r}{'.' if hint else ''}{hint}"
            return [f"{shown}\n  Fix: use one of {', '.join(self.choices)}."]
        return [f"{what} must be {self.text}, not {thaw(value)!r}"]


def as_number(value: Any) -> Any:
    """Return a number that is written as text as a number, anything else as it is."""
    if not isinstance(value, str):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    return value


def choice(*values: str, folded: bool = False) -> Value:
    """Return a choice of these texts; ``folded`` where upper and lower case are the same."""

    def fits(value: Any) -> bool:
        return (value.lower() if folded and isinstance(value, str) else value) in values

    return Value(f"one of {', '.join(values)}", {"enum": list(values)}, fits, choices=values)


def whole(least: int, most: int = _LARGEST) -> Value:
    """Return a whole number from one to another."""
    text = f"a whole number of at least {least}"
    if most != _LARGEST:
        text = f"a whole number from {least} to {most}"
    schema: dict[str, Any] = {"type": ["integer", "string"], "minimum": least}
    return Value(text, schema, lambda v: type(v) is int and least <= v <= most, as_number)


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


_NUMBER = {"type": ["number", "string"], "minimum": 0}

ANY = Value("anything", {})
TEXT = Value("text", {"type": "string"}, lambda value: isinstance(value, str) and bool(value))
BOOLEAN = Value("true or false", {"type": "boolean"}, lambda value: isinstance(value, bool))
COUNT, SLOTS = whole(0), whole(1)
FINITE = Value("a finite number", {"type": "number"}, _is_number)
POSITIVE = Value(
    "a positive number of seconds", _NUMBER, lambda value: positive_seconds(value) is not None
)
DELAY = Value(
    "a number of seconds from 0 to a year",
    _NUMBER,
    lambda value: _is_number(value) and 0 <= value <= _YEAR,
    as_number,
)
LIMIT = Value(
    "a number of seconds above 0, at most a year",
    _NUMBER,
    lambda value: _is_number(value) and 0 < value <= _YEAR,
    as_number,
)
FACTOR = Value(
    "a number above 0",
    _NUMBER,
    lambda value: _is_number(value) and value > 0,
    as_number,
)
DURATION = Value(
    "a duration: a number of ms, s, m, h or d",
    {"type": "string", "pattern": "^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$"},
)
