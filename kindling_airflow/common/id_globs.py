r"""Patterns for dotted ids: one notation for selecting pipes and for the settings of pipes.

    *     any characters inside one dotted segment, none included
    **    any characters, dots included
    ?     one character that is not a dot

    silver.*        silver.orders            but not  silver.eu.orders
    silver.**       silver.orders, silver.eu.orders
    **.orders       silver.orders, silver.eu.orders, but not  orders
    day_?           day_1                    but not  day_10

Everything else stands for itself; three stars or more are the same as two. A pattern matches the
whole id. Matching takes time polynomial in the length of the id, whatever the pattern: there is no
exponential backtracking that a pattern from outside could provoke.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import groupby

__all__ = ["Glob", "Wildcard", "glob_specificity", "matches_glob"]


class Wildcard(Enum):
    """What an unquoted ``?``, ``*`` or ``**`` stands for."""

    ONE = "?"
    SEGMENT = "*"
    ANYTHING = "**"


_TOKENS = re.compile(r"\*+|\?|[^*?]+")
_WILDCARDS = {wildcard.value: wildcard for wildcard in Wildcard}


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern, taken apart.

    Attributes:
        parts: literal texts and wildcards; no two texts and no two stars are neighbours, and no
            text is empty. Made by :meth:`parse` or :meth:`of`.
    """

    parts: tuple[str | Wildcard, ...]

    @classmethod
    def parse(cls, pattern: str) -> Glob:
        """Return the glob of a pattern in which every ``*`` and ``?`` is a wildcard."""
        return cls.of([(pattern, False)])

    @classmethod
    def of(cls, pieces: Iterable[tuple[str, bool]]) -> Glob:
        """Return the glob of texts that follow one another, each with whether it is literal."""
        tokens: list[str | Wildcard] = []
        for text, literal in pieces:
            if literal:
                tokens += [text] if text else []
            else:
                tokens += [_WILDCARDS.get(token[:2], token) for token in _TOKENS.findall(text)]
        parts: list[str | Wildcard] = []
        for kind, run in groupby(tokens, _kind):
            if kind == "text":
                parts.append("".join(map(str, run)))
            elif kind == "stars":
                stars = list(run)
                parts.append(stars[0] if len(stars) == 1 else Wildcard.ANYTHING)
            else:
                parts += run
        return cls(tuple(parts))

    def __str__(self) -> str:
        return "".join(part if isinstance(part, str) else part.value for part in self.parts)

    @property
    def literal(self) -> str | None:
        """The only text that matches, or None where there are wildcards."""
        if not self.parts:
            return ""
        first = self.parts[0]
        return first if len(self.parts) == 1 and isinstance(first, str) else None

    @property
    def specificity(self) -> tuple[int, int, int, int]:
        """See :func:`glob_specificity`."""
        ones, stars, any_stars = (self.parts.count(wildcard) for wildcard in Wildcard)
        rank = 0 if any_stars else 1 if stars else 2 if ones else 3
        return rank, self._letters(), ones, -stars - any_stars

    def _letters(self) -> int:
        return sum(len(part) for part in self.parts if isinstance(part, str))

    def across_dots(self) -> Glob:
        """Return the same glob with every ``*`` a ``**``."""
        wider = {Wildcard.SEGMENT: Wildcard.ANYTHING}
        return Glob(tuple(p if isinstance(p, str) else wider.get(p, p) for p in self.parts))

    def matcher(self) -> Callable[[str], bool]:
        """Return a predicate that matches a text as a whole."""
        literal = self.literal
        if literal is not None:
            return literal.__eq__
        # What is shorter cannot match, so no expression is made that is much longer than an id.
        shortest = self._letters() + self.parts.count(Wildcard.ONE)
        expression: re.Pattern[str] | None = None

        def matches(text: str) -> bool:
            nonlocal expression
            if len(text) < shortest:
                return False
            if expression is None:
                expression = re.compile(_expression(self.parts), re.DOTALL)
            return expression.match(text) is not None

        return matches

    def finder(self) -> Callable[[Collection[str]], Iterable[str]]:
        """Return a function that picks what matches; an exact one needs but one look-up."""
        literal = self.literal
        if literal is not None:
            return lambda known: (literal,) if literal in known else ()
        matches = self.matcher()
        return lambda known: filter(matches, known)


def matches_glob(pattern: str, id: str) -> bool:  # noqa: A002 - it is an id, and nothing else
    """Return whether an id matches a pattern.

    >>> matches_glob("silver.*", "silver.orders"), matches_glob("silver.*", "silver.eu.orders")
    (True, False)
    >>> matches_glob("silver.**", "silver.eu.orders"), matches_glob("day_?", "day_1")
    (True, True)
    """
    return _matcher(pattern)(id)


def glob_specificity(pattern: str) -> tuple[int, int, int, int]:
    """Return a sort key: the more specific of two patterns has the greater one.

    Exact ids come before patterns with ``?`` alone, these before ``*``, and ``*`` before ``**``.
    Among equals more literal characters win, then more ``?``, then fewer stars.

    >>> sorted(["**", "silver.**", "*.orders", "silver.orders"], key=glob_specificity)
    ['**', 'silver.**', '*.orders', 'silver.orders']
    """
    return Glob.parse(pattern).specificity


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Callable[[str], bool]:
    return Glob.parse(pattern).matcher()


def _kind(part: str | Wildcard) -> str:
    if isinstance(part, str):
        return "text"
    return "ones" if part is Wildcard.ONE else "stars"


def _expression(parts: tuple[str | Wildcard, ...]) -> str:
    r"""Return the regular expression of a glob, free of nested backtracking.

    Where a text is found first (leftmost) is as good as anywhere: a ``*`` behind it reaches as far
    from there, for both are in one segment, and so does a ``**``. So each step but the last is
    frozen once it has matched: ``(?=(?P<x>...))(?P=x)`` is an atomic group in the notation that
    Python 3.10 has too. Only the text at the end is tried at every place.
    """
    names = (f"_{n}" for n in range(len(parts) + 1))

    def frozen(step: str) -> str:
        name = next(names)
        return f"(?=(?P<{name}>{step}))(?P={name})"

    def block(pieces: list[str], is_last: bool) -> str:
        """Join the pieces between two ``**``; there is a ``*`` between any two of them."""
        first, *others = pieces
        end = "[^.]*" + others.pop() if others and is_last else ""
        return first + "".join(frozen("[^.]*?" + piece) for piece in others) + end

    blocks: list[list[str]] = [[""]]
    for part in parts:
        if part is Wildcard.ANYTHING:
            blocks.append([""])
        elif part is Wildcard.SEGMENT:
            blocks[-1].append("")
        else:
            blocks[-1][-1] += "[^.]" if isinstance(part, Wildcard) else re.escape(part)
    start, *others = blocks
    if not others:
        return block(start, True) + r"\Z"
    end = others.pop()
    middle = "".join(frozen(".*?" + block(pieces, False)) for pieces in others)
    return block(start, False) + middle + ".*" + block(end, True) + r"\Z"
