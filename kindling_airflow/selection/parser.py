"""Text -> :class:`Selector`, in one pass from left to right, with its own stack.

    union        := intersection (SPACE intersection)*
    intersection := term ("," term)*                     there may be spaces around the comma
    term         := "!"? ( ([N] "+")? operand ("+" [N])?  |  "@" operand )     no spaces inside
    operand      := word  |  "(" union ")"
    word         := pattern  |  "tag:" pattern ("=" pattern)?
                  |  ("entity:" | "reads:" | "writes:") pattern
    pattern      := ( characters | '"' quoted '"' )+

Reading takes time linear in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kindling_airflow.errors import SelectionError
from kindling_airflow.selection.scanner import A_WORD, Scanner, UnreadableError
from kindling_airflow.selection.syntax import Around, Combine, How, Rebuild, Selector, Step

__all__ = ["parse_selector"]

_DEEPEST = 100

_QUOTE = "put double quotes around an id that holds spaces or any of ,()!+@"
_SEPARATE = f"put a space (union) or a comma (intersection) between words; {_QUOTE}."
_OPERATORS = f"operators stand as in !2+x+ and !@x, for more write (..) as in @(x+); {_QUOTE}."


def parse_selector(text: str) -> Selector:
    """Return the selector that a text describes.

    >>> str(parse_selector(' ( a ),( !"b" )   2+c '))
    'a,(!b) 2+c'

    Raises:
        SelectionError: the text does not fit the grammar. Shows where, and what belongs there; what
            is wrong inside a word does not hide what is wrong behind it.
    """
    if not text.strip():
        raise SelectionError([f"the selector is empty: expected a word or '('\n  Fix: {A_WORD}"])
    parser = _Parser(text)
    problems = parser.scanner.problems
    try:
        parser.read()
    except UnreadableError as error:
        problems.append(str(error))
    if problems:
        raise SelectionError(problems)
    return Selector(tuple(parser.steps))


@dataclass(frozen=True, slots=True)
class _Operators:
    """The operators before an operand."""

    negated: bool = False
    rebuild: bool = False
    up: int | None = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """A pair of parentheses that is being read, or the whole text.

    Attributes:
        opened: where its parenthesis is.
        operators: the operators before it.
        union: for each finished operand of its union, whether it is negated.
        factors: for each operand of the intersection that is being read, whether it is negated.
    """

    opened: int = -1
    operators: _Operators = field(default_factory=_Operators)
    union: list[bool] = field(default_factory=list)
    factors: list[bool] = field(default_factory=list)


class _Parser:
    def __init__(self, text: str) -> None:
        self.scanner = Scanner(text)
        self.steps: list[Step] = []
        self.groups = [_Group()]

    def read(self) -> None:
        """Read the whole text: operands, and the operators between them."""
        more = True
        while more:
            self.scanner.skip_spaces()
            operators = self._read_operators()
            if self.scanner.peek() == "(":
                self._open_group(operators)
            else:
                self.steps.append(self.scanner.word())
                self._finish_operand(operators)
                more = self._read_to_next_operand()

    def _read_operators(self) -> _Operators:
        scanner = self.scanner
        start = scanner.at
        negated, rebuild = scanner.take("!"), scanner.take("@")
        up = 0 if rebuild else scanner.levels_up()
        found = scanner.peek()
        if not found or found.isspace() or found in ",)!@+":
            before = scanner.text[start : scanner.at]
            what = f" directly after {before!r}" if before else self._after_what(start)
            digits = before.strip("!@+")
            fix = _OPERATORS if found in ("!", "@", "+") else A_WORD
            if digits:
                fix = f'write "{digits}"+ if {digits} is an id, not a number of levels.'
            raise scanner.unreadable(f"a word or '('{what}", scanner.at, fix)
        return _Operators(negated, rebuild, up)

    def _after_what(self, position: int) -> str:
        before = self.scanner.text[:position].rstrip()[-1:]
        return f" after {before!r}" if before else ""

    def _open_group(self, operators: _Operators) -> None:
        if len(self.groups) > _DEEPEST:
            fix = "write it flatter: a comma binds tighter than a space, '!' tighter than both."
            expected = f"at most {_DEEPEST} parentheses inside one another"
            raise self.scanner.unreadable(expected, self.scanner.at, fix)
        self.groups.append(_Group(self.scanner.at, operators))
        self.scanner.take("(")

    def _read_to_next_operand(self) -> bool:
        """Read what separates an operand from the next; return whether there is a next one."""
        scanner = self.scanner
        while True:
            spaces = scanner.skip_spaces()
            if scanner.take(","):
                return True
            at, inner = scanner.at, len(self.groups) > 1
            if not scanner.peek() and inner:
                opened = self.groups[-1].opened
                raise scanner.unreadable("a ')' for this '('", opened, "add the missing ')'.")
            if not scanner.peek():
                self._finish_union()
                return False
            if inner and scanner.take(")"):
                self._finish_union()
                self._finish_operand(self.groups.pop().operators)
            elif scanner.peek() == ")":
                expected = "a '(' before this ')'"
                raise scanner.unreadable(expected, at, "remove it, or add the missing '('.")
            elif spaces:
                self._finish_intersection()
                return True
            else:
                fix = _OPERATORS if scanner.peek() in "!@+" else _SEPARATE
                end = "')'" if inner else "the end"
                expected = f"a space, ',' or {end}"
                raise scanner.unreadable(expected, at, fix)

    def _finish_operand(self, operators: _Operators) -> None:
        """Read the operator behind an operand, and record all its operators."""
        if operators.rebuild:
            self.steps.append(Rebuild())
        else:
            down = self.scanner.levels_down()
            if (operators.up, down) != (0, 0):
                self.steps.append(Around(operators.up, down))
        self.groups[-1].factors.append(operators.negated)

    def _finish_intersection(self) -> None:
        union, factors = self.groups[-1].union, self.groups[-1].factors
        if len(factors) > 1:
            self.steps.append(Combine(How.ALL, tuple(factors)))
            union.append(False)
        else:
            union += factors
        factors.clear()

    def _finish_union(self) -> None:
        self._finish_intersection()
        union = self.groups[-1].union
        if union != [False]:
            self.steps.append(Combine(How.ANY, tuple(union)))
