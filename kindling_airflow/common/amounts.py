"""Amounts of memory in Spark's notation: ``512m``, ``8g``."""

from __future__ import annotations

import re

__all__ = ["bytes_of"]

_AMOUNT = re.compile(r"(?P<number>[0-9]+)(?P<unit>[kmgt]?)b?", re.IGNORECASE)


def bytes_of(text: str) -> int:
    """Return an amount of memory in bytes.

    >>> bytes_of("8g"), bytes_of("512 MB"), bytes_of("1000")
    (8589934592, 536870912, 1000)

    Raises:
        ValueError: the text is not an amount of memory.
    """
    found = _AMOUNT.fullmatch(text.replace(" ", ""))
    if found is None:
        raise ValueError(f"not an amount of memory: {text!r}")
    return int(found["number"]) << 10 * " kmgt".index(found["unit"].lower() or " ")
