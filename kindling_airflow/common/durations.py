"""Lengths of time and timestamps as people write them: ``10m``, ``2026-01-31T06:00:00Z``."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

YEAR = 31_536_000  # seconds; more is a mistake for whatever is waited for

_DURATION = re.compile(r"(0|[1-9][0-9]{0,8})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds_of(text: object) -> float:
    """Return a duration in seconds.

    >>> seconds_of("10s"), seconds_of("1m"), seconds_of("250ms"), seconds_of("0s")
    (10.0, 60.0, 0.25, 0.0)

    Raises:
        ValueError: the text is not a duration.
    """
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"not a duration: {text!r}")
    return int(found[1]) * _SECONDS[found[2]]


def positive_seconds(value: Any) -> float | None:
    """Return a value as a positive, finite number of seconds, or None where it is not one."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    usable = math.isfinite(seconds) and seconds > 0 and not isinstance(value, bool)
    return seconds if usable else None


def iso_datetime(text: str) -> datetime:
    """Return a timestamp in ISO 8601; ``Z`` is UTC, which Python 3.10 does not read.

    >>> iso_datetime("2026-01-31T06:00:00Z").isoformat()
    '2026-01-31T06:00:00+00:00'

    Raises:
        ValueError: the text is not a timestamp.
    """
    return datetime.fromisoformat(re.sub("Z$", "+00:00", text))
