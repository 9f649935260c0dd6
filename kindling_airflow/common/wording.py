"""Lists, counts and guesses as messages write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from heapq import nlargest

_MOST_LISTED = 20


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Return a number with its noun, whose plural is given where it takes more than an ``s``.

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


def first_of(texts: Sequence[str], most: int) -> str:
    """Return the first texts of a list in one line, and how many more there are.

    >>> first_of(["a", "b"], 2), first_of(["a", "b", "c"], 2)
    ('a, b', 'a, b and 1 more')
    """
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return f"{', '.join(texts[:most])}{more}"


def some_pipes(pipe_ids: Sequence[str]) -> str:
    """Return pipes as a message names them: the first, and how many more.

    >>> some_pipes(["a"]), some_pipes(["a", "b", "c"])
    ("pipe 'a'", "pipe 'a' (and 2 more)")
    """
    more = f" (and {len(pipe_ids) - 1} more)" if len(pipe_ids) > 1 else ""
    return f"pipe {pipe_ids[0]!r}{more}"


_FIRST, _LAST = 10, 5


def shortened(texts: Sequence[str]) -> list[str]:
    """Return the texts of a long list as a message has them: the first, how many more, the last.

    >>> shortened(["a", "b"]), shortened([f"p{n}" for n in range(100_000)])[9:12]
    (['a', 'b'], ['p9', '... 99,985 more ...', 'p99995'])
    """
    more = len(texts) - _FIRST - _LAST
    if more < 2:
        return list(texts)
    return [*texts[:_FIRST], f"... {more:,} more ...", *texts[-_LAST:]]


_FEW = 500


def _alikeness(pairs: Iterable[str], unknown: str, known: str) -> float:
    """Return how many pairs of letters two ids share, less what their lengths differ by."""
    return sum(pair in known for pair in pairs) - abs(len(known) - len(unknown)) / 2


def did_you_mean(unknown: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the known id nearest to ``unknown``, or ``""``.

    >>> did_you_mean("slver.orders", ["bronze.orders", "silver.orders"])
    " Did you mean 'silver.orders'?"
    >>> did_you_mean("x", ["silver.orders"])
    ''
    """
    ids = sorted(known)
    if len(ids) > _FEW:  # each comparison costs 20 us, so that only the most alike are compared
        pairs = {unknown[n : n + 2] for n in range(len(unknown) - 1)}
        ids = nlargest(_FEW, ids, key=lambda an_id: _alikeness(pairs, unknown, an_id))
        ids.sort()
    matches = get_close_matches(unknown, ids, n=1, cutoff=0.6)
    return f" Did you mean {matches[0]!r}?" if matches else ""
