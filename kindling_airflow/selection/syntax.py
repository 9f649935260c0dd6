"""A selector, taken apart: what the parser makes and the evaluation works through.

The tree is kept in postfix order, each operator behind its operands:

    +a b,!c        Word(a) Around(up=all) Word(b) Word(c) ALL(b, not c) ANY(.., ..)

A flat tuple is frozen, comparable, hashable and walked without recursion, however deep the tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from kindling_airflow.common.id_globs import Glob

SPECIAL = r'\s,()!+@"'
"""What ends an unquoted word, as the inside of a character class."""


class Kind(Enum):
    """What a word looks at; the value is its prefix."""

    PIPE = ""
    TAG = "tag:"
    ENTITY = "entity:"
    READS = "reads:"
    WRITES = "writes:"


@dataclass(frozen=True, slots=True)
class Word:
    """Selects the pipes that match by themselves.

    Attributes:
        kind: what is looked at.
        glob: matches the pipe's id, the tag's key, or the entity's id.
        value: matches the tag's value; None where the key is enough.
    """

    kind: Kind
    glob: Glob
    value: Glob | None = None

    def __str__(self) -> str:
        text = self.kind.value + _glob_text(self.glob, _MUST_QUOTE[self.kind])
        return text if self.value is None else f"{text}={_glob_text(self.value)}"


@dataclass(frozen=True, slots=True)
class Around:
    """Adds to the operand what it depends on, and what depends on it.

    Attributes:
        up: how many levels of dependencies; None for all of them.
        down: how many levels of dependents; None for all of them.
    """

    up: int | None
    down: int | None


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Adds to the operand everything downstream of it, and everything upstream of any of these."""


class How(Enum):
    """How operands are combined; the value is the character between them."""

    ANY = " "
    ALL = ","


@dataclass(frozen=True, slots=True)
class Combine:
    """Makes one set of the last ``len(negated)`` ones.

    Attributes:
        how: ``ANY``: the union of the positive operands, or of all pipes where there are none,
            without the negated ones. ``ALL``: the intersection, negated operands complemented.
        negated: for each operand, whether it is preceded by ``!``.
    """

    how: How
    negated: tuple[bool, ...]


Step = Word | Around | Rebuild | Combine


@dataclass(frozen=True, slots=True)
class Selector:
    """A parsed selector; its ``str()`` is its canonical text, which parses to an equal one.

    Attributes:
        steps: the tree in postfix order.
    """

    steps: tuple[Step, ...]

    def words(self) -> tuple[Word, ...]:
        """Return the different words, in the order of their first mention."""
        return tuple(dict.fromkeys(step for step in self.steps if isinstance(step, Word)))

    def __str__(self) -> str:
        stack: list[tuple[str, int]] = []
        for step in self.steps:
            if isinstance(step, Word):
                stack.append((str(step), _ATOM))
            elif isinstance(step, Combine):
                first = len(stack) - len(step.negated)
                operands, stack[first:] = stack[first:], []
                stack.append(_combined(step, operands))
            else:
                operand = _at_least(_ATOM, stack.pop())
                stack.append((_with_operator(step, operand), _TERM))
        return stack.pop()[0]


# How tightly a text holds together; what stands inside a tighter one goes in parentheses.
_UNION, _INTERSECTION, _TERM, _ATOM = range(4)


def _at_least(binding: int, operand: tuple[str, int]) -> str:
    text, own = operand
    return text if own >= binding else f"({text})"


def _combined(step: Combine, operands: list[tuple[str, int]]) -> tuple[str, int]:
    own = _UNION if step.how is How.ANY else _INTERSECTION
    texts = [
        f"!{_at_least(_TERM, operand)}" if negated else _at_least(own + 1, operand)
        for negated, operand in zip(step.negated, operands, strict=True)
    ]
    return step.how.value.join(texts), own


def _with_operator(step: Around | Rebuild, operand: str) -> str:
    if isinstance(step, Rebuild):
        return f"@{operand}"
    before = {None: "+", 0: ""}.get(step.up, f"{step.up}+")
    behind = {None: "+", 0: ""}.get(step.down, f"+{step.down}")
    return before + operand + behind


_SPECIAL = re.compile(rf"[{SPECIAL}*?]")
_prefixes = "|".join(kind.value for kind in Kind if kind.value)
_MUST_QUOTE = dict.fromkeys(Kind, _SPECIAL) | {
    Kind.PIPE: re.compile(rf"{_SPECIAL.pattern}|\A(?:{_prefixes})|\A[0-9]+\Z"),
    Kind.TAG: re.compile(rf"{_SPECIAL.pattern}|="),
}


def _glob_text(glob: Glob, must_quote: re.Pattern[str] = _SPECIAL) -> str:
    """Return a glob as text; a literal in which something would have a meaning is quoted."""
    texts = []
    for part in glob.parts:
        if not isinstance(part, str):
            texts.append(part.value)
        elif must_quote.search(part):
            escaped = part.replace("\\", r"\\").replace('"', r"\"")
            texts.append(f'"{escaped}"')
        else:
            texts.append(part)
    return "".join(texts) or '""'
