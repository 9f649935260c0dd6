"""Declared schemas without Spark: what a DDL string declares, and why Spark would refuse it.

    id BIGINT NOT NULL, items ARRAY<STRUCT<sku: STRING, n: INT>>, price DECIMAL(12, 2)

Only what Spark is known to refuse is a problem here: a type that there is not, a precision out of
range, a bracket that is not closed. The driver reads the same text with Spark's own grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kindling_airflow.common.wording import did_you_mean

__all__ = ["Ddl", "read_ddl"]

_TOKEN = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/              # between words
    |(?P<name>`(?:[^`]|``)+`)
    |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    |(?P<word>\w+)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_SIMPLE = frozenset(
    (
        *("BOOLEAN", "TINYINT", "BYTE", "SMALLINT", "SHORT", "INT", "INTEGER", "BIGINT", "LONG"),
        *("FLOAT", "REAL", "DOUBLE", "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NTZ"),
        *("TIMESTAMP_LTZ", "STRING", "BINARY", "VOID", "VARIANT", "INTERVAL", "GEOMETRY"),
        "GEOGRAPHY",
    )
)
_DECIMALS = frozenset({"DECIMAL", "DEC", "NUMERIC"})
_TEXTS = frozenset({"CHAR", "CHARACTER", "VARCHAR"})
_NESTED = {"ARRAY": "ARRAY<INT>", "MAP": "MAP<STRING, INT>", "STRUCT": "STRUCT<a: INT>"}
_TYPES = sorted((*_SIMPLE, *_DECIMALS, *_TEXTS, *_NESTED))
_MEANT = {  # names that other databases have
    **dict.fromkeys(("TEXT", "NVARCHAR", "CLOB", "STR", "UUID", "JSON", "OBJECT"), "STRING"),
    **dict.fromkeys(("INT8", "INT64", "SERIAL", "UINT64"), "BIGINT"),
    **dict.fromkeys(("INT2", "INT16"), "SMALLINT"),
    **dict.fromkeys(("INT4", "INT32"), "INT"),
    **dict.fromkeys(("DATETIME", "TIMESTAMPTZ"), "TIMESTAMP"),
    **dict.fromkeys(("FLOAT8", "FLOAT64", "NUMBER"), "DOUBLE"),
    **dict.fromkeys(("BLOB", "BYTES", "VARBINARY"), "BINARY"),
    "BOOL": "BOOLEAN",
    "FLOAT4": "FLOAT",
    "NULL": "VOID",
}
_OPTIONS = frozenset({"NOT", "COMMENT"})
_FREE_FORM = frozenset({"INTERVAL", "STRING", "TIME", "GEOMETRY", "GEOGRAPHY"})
_MOST_DIGITS = 38


@dataclass(frozen=True, slots=True)
class Ddl:
    """What a DDL string declares.

    Attributes:
        columns: the names of its columns in their order; None where they are not known.
        problems: why Spark would refuse it.
    """

    columns: tuple[str, ...] | None
    problems: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def read_ddl(schema: str) -> Ddl:
    """Return what a DDL string declares, and what is wrong with it.

    >>> read_ddl("a INT, `b c` ARRAY<STRING>").columns
    ('a', 'b c')
    >>> read_ddl("a INTEGR").problems
    ("column 'a' has the unknown type 'INTEGR'. Did you mean 'INTEGER'?",)
    """
    reader = _Reader(schema)
    try:
        columns = reader.table()
    except _Unreadable as error:
        return Ddl(None, (*reader.problems, str(error)))
    except RecursionError:
        return Ddl(None, ("it is nested too deep",))
    taken: dict[str, str] = {}
    problems = list(reader.problems)
    for name in columns or ():
        if name.casefold() in taken:
            problems.append(f"column {name!r} is declared twice")
        taken[name.casefold()] = name
    return Ddl(None if columns is None else tuple(columns), tuple(problems))


class _Unreadable(Exception):  # noqa: N818 (never leaves this module)
    """The text breaks the grammar."""


class _Reader:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        found = _TOKEN.finditer(text)
        self._tokens = [(m.lastgroup, m.group()) for m in found if m.lastgroup is not None]
        self._at = 0
        self.problems: list[str] = []

    def table(self) -> list[str] | None:
        """Return the names of all columns; None for a text that is one type without a name."""
        if not self._tokens:
            return []
        if len(self._tokens) == 1 or self._tokens[1][1] in "<(":
            self._type("the schema")
            if self._at < len(self._tokens):
                raise self._unreadable()
            return None
        names = self._columns("")
        if self._at < len(self._tokens):
            raise self._unreadable()
        return names

    def _columns(self, above: str) -> list[str]:
        names = []
        while True:
            kind, text = self._peek()
            if kind not in ("name", "word"):
                raise self._unreadable()
            name = text[1:-1].replace("``", "`") if kind == "name" else text
            names.append(name)
            self._at += 1
            self._skip(":")
            what = f"field {above}{name}" if above else f"column {name!r}"
            if self._peek()[0] != "word":
                raise _Unreadable(f"{what} has no type")
            self._type(what, f"{above}{name}.")
            self._options(what)
            if not self._skip(","):
                return names

    def _type(self, what: str, above: str = "") -> None:
        kind, text = self._peek()
        if kind != "word":
            raise self._unreadable()
        self._at += 1
        name = text.upper()
        if name in _NESTED:
            self._nested(what, name, above)
        elif name in _DECIMALS:
            self._decimal(what, text, self._numbers())
        elif name in _TEXTS:
            length = self._numbers()
            if len(length) != 1:
                self.problems.append(f"{what} has type {name} without a length, as in {name}(10)")
        elif name not in _SIMPLE:
            known = _MEANT.get(name)
            hint = f" Did you mean {known!r}?" if known else did_you_mean(name, _TYPES)
            self.problems.append(f"{what} has the unknown type {text!r}.{hint}")
            self._brackets()
        elif name in _FREE_FORM:
            self._brackets()
            while self._peek()[0] == "word" and self._peek()[1].upper() not in _OPTIONS:
                self._at += 1  # COLLATE x, DAY TO SECOND
        elif name == "TIMESTAMP" and self._peek()[1].upper() in ("WITH", "WITHOUT"):
            while self._peek()[1].upper() in ("WITH", "WITHOUT", "LOCAL", "TIME", "ZONE"):
                self._at += 1
        elif self._peek()[1] == "(":
            self.problems.append(f"{what}: type {name} takes no length")
            self._brackets()

    def _nested(self, what: str, name: str, above: str) -> None:
        if not self._skip("<"):
            self.problems.append(f"{what} has type {name} without <...>, as in {_NESTED[name]}")
            self._brackets()
            return
        if name == "STRUCT" and self._skip(">"):
            return
        if name == "STRUCT":
            self._columns(above)
        else:
            self._type(what, above)
            if name == "MAP":
                if not self._skip(","):
                    raise self._unreadable()
                self._type(what, above)
        if not self._skip(">"):
            raise self._unreadable()

    def _decimal(self, what: str, name: str, numbers: list[int]) -> None:
        if len(numbers) > 2:
            self.problems.append(f"{what}: {name} takes a precision and a scale")
            return
        precision, scale = [*numbers, *(10, 0)[len(numbers) :]]
        if precision > _MOST_DIGITS:
            self.problems.append(
                f"{what} has {precision} digits in {name}; Spark keeps {_MOST_DIGITS} at most. "
                f"Did you mean '{name}({_MOST_DIGITS},{min(scale, _MOST_DIGITS)})'?"
            )
        elif scale > precision:
            self.problems.append(
                f"{what} has {scale} digits after the point in {name}, and {precision} in all"
            )

    def _numbers(self) -> list[int]:
        found: list[int] = []
        if not self._skip("("):
            return found
        while True:
            text = self._peek()[1]
            if not text.isdecimal():
                raise self._unreadable()
            found.append(int(text[:9]))
            self._at += 1
            if self._skip(")"):
                return found
            if not self._skip(","):
                raise self._unreadable()

    def _brackets(self) -> None:
        """Pass over (...) or <...>, whatever is in it."""
        depth = 0
        while self._peek()[1] in tuple("(<") or depth:
            sign = self._peek()[1]
            if not sign:
                raise self._unreadable()
            depth += (sign in tuple("(<")) - (sign in tuple(")>"))
            self._at += 1

    def _options(self, what: str) -> None:
        """Pass over what may follow a type: NOT NULL, and a comment."""
        if self._peek()[1].upper() == "NOT":
            if self._peek(1)[1].upper() != "NULL":
                raise _Unreadable(f"{what}: NOT without NULL")
            self._at += 2
        if self._peek()[1].upper() == "COMMENT":
            if self._peek(1)[0] != "text":
                raise _Unreadable(f"{what}: COMMENT without a text in quotes")
            self._at += 1
            while self._peek()[0] == "text":
                self._at += 1
        text = self._peek()[1]
        if text not in ("", ",", ">"):
            raise _Unreadable(f"{what}: {text!r} after its type is not valid")

    def _peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self._at + ahead
        if at >= len(self._tokens):
            return "", ""
        kind, text = self._tokens[at]
        return kind or "", text

    def _skip(self, sign: str) -> bool:
        if self._peek() == ("sign", sign):
            self._at += 1
            return True
        return False

    def _unreadable(self) -> _Unreadable:
        near = " ".join(text for _, text in self._tokens[self._at : self._at + 4])
        before = " ".join(text for _, text in self._tokens[max(0, self._at - 3) : self._at])
        if near:
            return _Unreadable(f"it cannot be read at {near!r}")
        return _Unreadable(f"it ends too early, after {before!r}")
