"""Long lists in one line of a message."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["first_of"]


def first_of(texts: Sequence[str], most: int) -> str:
    """Return the first texts of a list in one line, and how many more there are.

    >>> first_of(["a", "b"], 2), first_of(["a", "b", "c"], 2)
    ('a, b', 'a, b and 1 more')
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{', '.join(texts[:most])}{more}"
