"""Text -> :class:`Selector`, in one pass from left to right, a function a line.

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

from kindling_airflow.errors import SelectionError
from kindling_airflow.selection.scanner import A_WORD, Scanner, UnreadableError
from kindling_airflow.selection.syntax import Around, Combine, How, Rebuild, Selector, Step

__all__ = ["parse_selector"]

_DEEPEST = 100
_OUTSIDE = -1
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
    try:
        parser.read_union()
    except UnreadableError as error:
        parser.problems.append(str(error))
    if parser.problems:
        raise SelectionError(parser.problems)
    return Selector(tuple(parser.steps))


class _Parser(Scanner):
    """Reads a selector; the steps come operands first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.steps: list[Step] = []

    def read_union(self, opened: int = _OUTSIDE, depth: int = 0) -> None:
        """Read to the end, or to the parenthesis that closes the one that was opened."""
        union: list[bool] = []  # of each operand, whether it is negated
        is_over = False
        while not is_over:
            factors, spaces = self._read_intersection(depth)
            if len(factors) > 1:
                self.steps.append(Combine(How.ALL, tuple(factors)))
                union.append(False)
            else:
                union += factors
            is_over = self._read_end(opened, spaces)
        if union != [False]:
            self.steps.append(Combine(How.ANY, tuple(union)))

    def _read_intersection(self, depth: int) -> tuple[list[bool], bool]:
        """Return of each operand whether it is negated, and whether spaces follow the last one."""
        factors: list[bool] = []
        while True:
            factors.append(self._read_term(depth))
            spaces = self.skip_spaces()
            if not self.take(","):
                return factors, spaces

    def _read_term(self, depth: int) -> bool:
        """Read an operand with its operators; return whether it is negated."""
        self.skip_spaces()
        negated, rebuild, up = self._read_operators()
        if self.peek() == "(":
            opened = self.at
            if depth == _DEEPEST:
                fix = "write it flatter: a comma binds tighter than a space, '!' tighter than both."
                expected = f"at most {_DEEPEST} parentheses inside one another"
                raise self.unreadable(expected, opened, fix)
            self.take("(")
            self.read_union(opened, depth + 1)
        else:
            self.steps.append(self.word())
        if rebuild:
            self.steps.append(Rebuild())
        elif (around := Around(up, self.levels_down())) != Around(0, 0):
            self.steps.append(around)
        return negated

    def _read_operators(self) -> tuple[bool, bool, int | None]:
        """Return whether an operand is negated, whether rebuilt, and how many levels go up."""
        start = self.at
        negated, rebuild = self.take("!"), self.take("@")
        up = 0 if rebuild else self.levels_up()
        found = self.peek()
        if not found or found.isspace() or found in ",)!@+":
            before = self.text[start : self.at]
            last = self.text[:start].rstrip()[-1:]
            what = f" directly after {before!r}" if before else f" after {last!r}" if last else ""
            digits = before.strip("!@+")
            fix = _OPERATORS if found in ("!", "@", "+") else A_WORD
            if digits:
                fix = f'write "{digits}"+ if {digits} is an id, not a number of levels.'
            raise self.unreadable(f"a word or '('{what}", self.at, fix)
        return negated, rebuild, up

    def _read_end(self, opened: int, spaces: bool) -> bool:
        """Return whether the union ends here; else an operand has to follow behind spaces."""
        found, inner = self.peek(), opened != _OUTSIDE
        if not found and inner:
            raise self.unreadable("a ')' for this '('", opened, "add the missing ')'.")
        if not found or (inner and self.take(")")):
            return True
        if found == ")":
            fix = "remove it, or add the missing '('."
            raise self.unreadable("a '(' before this ')'", self.at, fix)
        if not spaces:
            fix = _OPERATORS if found in "!@+" else _SEPARATE
            end = "')'" if inner else "the end"
            raise self.unreadable(f"a space, ',' or {end}", self.at, fix)
        return False
