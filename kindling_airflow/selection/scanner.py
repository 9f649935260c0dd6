"""Reads a selector's text piece by piece, and reports where it is wrong.

A problem inside a word is recorded, and reading continues; reading ends where the rest of the text
becomes ambiguous.
"""

from __future__ import annotations

import re
import unicodedata

from kindling_airflow.common.id_globs import Glob
from kindling_airflow.selection.syntax import SPECIAL, Kind, Word

A_WORD = "write an id, a glob, tag:KEY, tag:KEY=VALUE, entity:ID, reads:ID or writes:ID."
_A_VALUE = 'write tag:KEY where any value will do, tag:KEY="" for the empty text.'
_AN_ESCAPE = 'inside double quotes write \\" for a double quote and \\\\ for a backslash.'
_A_NUMBER = "leave the number out to have all levels."

_MOST_DIGITS = 9
_SHOWN = 72

_SPACES = re.compile(r"\s+")
_PLAIN = re.compile(rf"[^{SPECIAL}]+")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PREFIX = re.compile("|".join(kind.value for kind in Kind if kind.value))
_UP = re.compile(r"([0-9]*)\+")
_DOWN = re.compile(r"\+([0-9]*)")

Piece = tuple[str, bool]
"""A part of a word, and whether it was quoted."""


class UnreadableError(Exception):
    """The rest of the text is ambiguous; the message is the problem's text."""


class Scanner:
    """A text, and how far it has been read.

    Attributes:
        text: the whole text.
        at: where reading goes on.
        problems: what was wrong so far.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.problems: list[str] = []

    def peek(self) -> str:
        """Return the next character, or the empty text at the end."""
        return self.text[self.at : self.at + 1]

    def take(self, character: str) -> bool:
        """Step over a character if it is the next one; return whether it was."""
        found = self.text.startswith(character, self.at)
        self.at += found
        return found

    def skip_spaces(self) -> bool:
        """Step over spaces; return whether there were any."""
        spaces = _SPACES.match(self.text, self.at)
        if spaces is None:
            return False
        self.at = spaces.end()
        return True

    def levels_up(self) -> int | None:
        """Step over ``+`` or ``N+``: all levels (None), N, or 0 where neither is there."""
        return self._levels(_UP)

    def levels_down(self) -> int | None:
        """Step over ``+`` or ``+N``: all levels (None), N, or 0 where neither is there."""
        return self._levels(_DOWN)

    def _levels(self, notation: re.Pattern[str]) -> int | None:
        match = notation.match(self.text, self.at)
        if match is None:
            return 0
        self.at = match.end()
        digits = match[1]
        if len(digits) > _MOST_DIGITS:
            self._note(f"at most {_MOST_DIGITS} digits", match.start(1), _A_NUMBER)
            return 0
        return int(digits) if digits else None

    def word(self) -> Word:
        """Read a word; a part that is missing is noted.

        Raises:
            UnreadableError: a quote is not closed.
        """
        start = self.at
        pieces = self._pieces()
        first, is_quoted = pieces[0]
        prefix = None if is_quoted else _PREFIX.match(first)
        if prefix is None:
            return Word(Kind.PIPE, self._glob(pieces, "an id between the quotes", start + 1))
        kind = Kind(prefix[0])
        pieces[0] = first[prefix.end() :], False
        if kind is not Kind.TAG:
            return Word(kind, self._glob(pieces, f"an entity after {kind.value!r}", self.at))
        key, value = _split_at_equals(pieces)
        key_glob = self._glob(key, "a key after 'tag:'", start + prefix.end())
        if value == [("", False)]:
            self._note("a value after '='", self.at, _A_VALUE)
        return Word(kind, key_glob, Glob.of(value) if value else None)

    def _pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        while True:
            if plain := _PLAIN.match(self.text, self.at):
                pieces.append((plain[0], False))
                self.at = plain.end()
            elif quoted := _QUOTED.match(self.text, self.at):
                pieces.append((self._unescaped(quoted), True))
                self.at = quoted.end()
            elif self.peek() == '"':
                raise self.unreadable("a closing '\"' for this one", self.at, _AN_ESCAPE)
            else:
                return pieces

    def _unescaped(self, quoted: re.Match[str]) -> str:
        for escape in _ESCAPE.finditer(quoted[1]):
            if escape[1] not in '"\\':
                position = quoted.start(1) + escape.start(1)
                self._note("'\"' or '\\' after the '\\'", position, _AN_ESCAPE)
        return _ESCAPE.sub(r"\1", quoted[1])

    def _glob(self, pieces: list[Piece], expected: str, position: int) -> Glob:
        glob = Glob.of(pieces)
        if not glob.parts:
            self._note(expected, position, A_WORD)
        return glob

    def _note(self, expected: str, position: int, fix: str) -> None:
        self.problems.append(str(self.unreadable(expected, position, fix)))

    def unreadable(self, expected: str, position: int, fix: str) -> UnreadableError:
        """Return the error that shows a position, what belongs there, and what to do."""
        start = max(0, position - _SHOWN // 2)
        end = start + _SHOWN
        shown = ["…"] if start else []
        shown += [c if c.isprintable() else " " for c in self.text[start:end]]
        shown += ["…"] if end < len(self.text) else []
        before = "".join(shown[: position - start + bool(start)])
        return UnreadableError(
            f"selector, column {position + 1}: expected {expected}\n"
            f"  {''.join(shown)}\n"
            f"  {' ' * sum(map(_width, before))}^\n"
            f"  Fix: {fix}"
        )


def _split_at_equals(pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Split a tag's pieces at the first ``=`` outside quotes; without one there is no value."""
    for n, (text, is_quoted) in enumerate(pieces):
        if not is_quoted and "=" in text:
            key, _, value = text.partition("=")
            return [*pieces[:n], (key, False)], [(value, False), *pieces[n + 1 :]]
    return pieces, []


def _width(character: str) -> int:
    """Return how many columns of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
