"""Reads the names in a SQL text: the tables that it reads, and the parameters that it needs.

    WITH late AS (SELECT * FROM silver_flights WHERE arr_delay > :minutes)
    SELECT carrier, count(*) AS flights FROM late GROUP BY carrier

reads the table ``silver_flights`` (``late`` is its own) and wants the parameter ``minutes``. Who
shadows whom is the business of a parser: sqlglot, in the dialect of Spark. Drivers need none:
without it a text is only looked at for its first word. No text is ever changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_pipes.sql_flaws import PIECES, comma_problems, template_problems

if TYPE_CHECKING:
    from sqlglot import exp

_FIRST_WORDS = ("SELECT", "WITH", "FROM", "VALUES", "TABLE")
_BEFORE_FIRST_WORD = re.compile(r"(?:\s+|--[^\n]*|/\*.*?\*/|\()*", re.DOTALL)
_WORD = re.compile(r"\w*")
_REMEDY = "  Fix: write one query: SELECT, WITH ... SELECT, FROM ... SELECT or VALUES."


@dataclass(frozen=True, slots=True)
class TableName:
    """A table that a query reads.

    Attributes:
        parts: its name, as the query writes it without backquotes; one part, or several with dots
            between them.
        line: where it is named first, from 1 on.
    """

    parts: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Query:
    """What was found in a query.

    Attributes:
        tables: the tables that it reads, in the order in which it names them; its own (WITH) and
            table functions are left out.
        parameters: its named parameters, sorted.
        problems: why it cannot be a pipe's query.
    """

    tables: tuple[TableName, ...] = ()
    parameters: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def bare_query(sql: Any) -> Any:
    """Return a query without the semicolons that may end it, and without what is behind them.

    Only comments and white space may be there; else it is more than one query, and left as it is.
    What is not a text is returned as it is, too.

    >>> bare_query("SELECT 1 ; "), bare_query("SELECT ';' -- one" + chr(10) + "; -- the end;")
    ('SELECT 1', "SELECT ';' -- one")
    >>> bare_query("SELECT 1; SELECT 2;")
    'SELECT 1; SELECT 2'
    """
    if not isinstance(sql, str) or ";" not in sql:
        return sql.rstrip() if isinstance(sql, str) else sql
    end: int | None = None
    for found in PIECES.finditer(sql):
        if found["end"]:
            end = found.start() if end is None else end
        elif found["code"]:
            end = None
    return sql[:end].rstrip()


def query_problems(sql: object) -> list[str]:
    """Return what is wrong with a text, without a parser: it must begin like a query.

    >>> query_problems("-- all of it" + chr(10) + "SELECT * FROM orders")
    []
    >>> print(query_problems("insert into orders values (1)")[0])
    its query begins with 'insert'
      Fix: write one query: SELECT, WITH ... SELECT, FROM ... SELECT or VALUES.
    """
    if not isinstance(sql, str):
        return [f"sql must be a string, not {type(sql).__name__}: {sql!r}"]
    start = _BEFORE_FIRST_WORD.match(sql)
    begin = start.end() if start is not None else 0
    found = _WORD.match(sql, begin)
    word = found.group() if found is not None else ""
    if word.upper() in _FIRST_WORDS:
        return []
    what = word or sql[begin : begin + 1]
    return [f"its query begins with {what!r}\n{_REMEDY}" if what else f"sql is empty\n{_REMEDY}"]


def query_text(sql: str) -> str:
    """Return a query as people read it: without the indentation that all of its lines share.

    >>> print(query_text(chr(10) + "    SELECT *" + chr(10) + "      FROM orders"))
    SELECT *
      FROM orders
    """
    return dedent(sql.replace("\r\n", "\n").expandtabs()).strip("\n")


def sql_parser_is_installed() -> bool:
    """Return whether :func:`read_query` can do its work here."""
    return find_spec("sqlglot") is not None


def read_query(sql: str) -> Query:
    """Return what a text names, or what is wrong with it. Needs the parser."""
    from sqlglot.errors import SqlglotError

    problems = query_problems(sql) or template_problems(sql)
    if problems:
        return Query(problems=tuple(problems))
    try:
        tree = query_tree(sql)
        if tree is None:
            return Query(problems=(f"its text is not a single query\n{_REMEDY}",))
        problems = comma_problems(sql)
        if problems:
            return Query(problems=tuple(problems))
        tables, unreadable = _tables(tree, sql)
    except (SqlglotError, RecursionError) as error:
        return Query(problems=(_syntax_text(error),))
    return Query(tables, _parameters(tree), unreadable)


def query_tree(sql: str) -> exp.Query | exp.Values | None:
    """Return a query as the parser sees it, its names in lower case; None if it is none, or many.

    Raises:
        SqlglotError: it breaks the grammar.
    """
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

    found = None
    if (other := _without_table_statements(sql)) != sql:
        with suppress(SqlglotError):
            found = _parsed(other)
    if found is None:
        found = _parsed(sql)
    # Spark does not tell upper case from lower case, and neither do its WITH and its aliases.
    return None if found is None else normalize_identifiers(found, dialect="spark")


def _parsed(sql: str) -> exp.Query | exp.Values | None:
    """Return the one query of a text, or None."""
    import sqlglot

    parsed = sqlglot.parse(sql, read="spark")
    found = [t for t in parsed if t is not None and not isinstance(t, sqlglot.exp.Semicolon)]
    only = found[0] if len(found) == 1 else None
    return only if isinstance(only, (sqlglot.exp.Query, sqlglot.exp.Values)) else None


def _without_table_statements(sql: str) -> str:
    """Return a text for the parser's eyes, with ``FROM x`` for each query ``TABLE x``.

    To it both are all of ``x``; it does not know the first one. Nothing changes its place.
    """
    import sqlglot

    tokens = sqlglot.tokenize(sql, read="spark")
    text = sql
    before = ("", "(", "UNION", "EXCEPT", "MINUS", "INTERSECT", "ALL", "DISTINCT", ")")
    for n, token in enumerate(tokens[:-1]):
        leads = (tokens[n - 1].text.upper() if n else "") in before
        named = tokens[n + 1].token_type.name in ("VAR", "IDENTIFIER")
        if leads and named and token.text.upper() == "TABLE":
            text = f"{text[: token.start]}FROM {text[token.end + 1 :]}"
    return text


def _tables(
    tree: exp.Query | exp.Values, sql: str
) -> tuple[tuple[TableName, ...], tuple[str, ...]]:
    from sqlglot.optimizer.scope import traverse_scope

    found: dict[int, TableName] = {}
    problems: dict[str, None] = {}
    for scope in traverse_scope(tree):
        for source in scope.sources.values():
            named = list(_identifiers(source))
            if named:
                start = named[0].meta["start"]
                parts = tuple(_as_written(sql, part) for part in named)
                found[start] = TableName(parts, sql.count("\n", 0, start) + 1)
            elif _is_unreadable(source):
                problems[
                    "its query names a table by an expression, from which no input can be derived\n"
                    "  Fix: name the table itself."
                ] = None
    first: dict[tuple[str, ...], TableName] = {}
    for _, table in sorted(found.items()):
        first.setdefault(tuple(part.casefold() for part in table.parts), table)
    return tuple(first.values()), tuple(problems)


def _identifiers(source: Any) -> Iterator[exp.Identifier]:
    """Yield the parts of a table's name; none for anything that is not a named table."""
    from sqlglot import exp

    if isinstance(source, exp.Table) and isinstance(source.this, (exp.Identifier, exp.Dot)):
        yield from (part for part in source.parts if isinstance(part, exp.Identifier))


def _is_unreadable(source: Any) -> bool:
    """Return whether a source is ``IDENTIFIER(...)``; other functions in FROM make rows themselves.

    >>> _is_unreadable("a table of the query itself")
    False
    """
    from sqlglot import exp

    called = source.this if isinstance(source, exp.Table) else None
    return isinstance(called, exp.Anonymous) and called.name.upper() == "IDENTIFIER"


def _as_written(sql: str, part: exp.Identifier) -> str:
    """Return an identifier in its own case; the tree holds it in lower case."""
    written = sql[part.meta["start"] : part.meta["end"] + 1]
    if written.startswith("`"):
        return written[1:-1].replace("``", "`")
    return written


def _parameters(tree: exp.Query | exp.Values) -> tuple[str, ...]:
    from sqlglot import exp

    names = (found.name for found in tree.find_all(exp.Placeholder))
    return tuple(sorted({name for name in names if name not in ("", "?")}))


def _syntax_text(error: Exception) -> str:
    details = getattr(error, "errors", None) or [{}]
    line, near = details[0].get("line"), details[0].get("highlight")
    where = f", line {line}, near {near!r}" if line else ""
    return (
        f"its query is not valid SQL{where}\n"
        "  Fix: correct the query; if Spark accepts it, name its inputs in "
        "input_entity_ids and set the tag 'sql.check' to False."
    )
