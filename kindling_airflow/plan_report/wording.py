"""Numbers and lists in the words of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["counted", "listed"]

_MOST_LISTED = 20


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Return a number with its noun; pass the plural if it is more than an added ``s``.

    >>> counted(0, "pipe"), counted(1, "pipe"), counted(1_200, "entity", "entities")
    ('no pipes', '1 pipe', '1,200 entities')
    """
    nouns = nouns or f"{noun}s"
    if not number:
        return f"no {nouns}"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {nouns}"


def listed(headline: str, items: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a list: a headline, then one item a line; long lists are cut.

    >>> list(listed("Waits for", ["a", "b"]))
    ['', 'Waits for 2 pipes:', "  'a'", "  'b'"]
    """
    yield ""
    yield f"{headline} {counted(len(items), 'pipe')}{':' if items else ''}"
    for item in items[:_MOST_LISTED]:
        yield f"  {item!r}"
    if len(items) > _MOST_LISTED:
        yield f"  ... and {len(items) - _MOST_LISTED:,} more"
