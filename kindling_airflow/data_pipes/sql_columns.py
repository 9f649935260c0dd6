"""Columns that a query names and that its tables cannot have, as their schemas are declared.

    SELECT order_id, amuont FROM bronze_orders      -- bronze.orders is declared with 'amount'

Only what is certain is a problem. A table without a declared schema, a function that makes rows, a
pivot, a star over any of these: where one of them is in scope, a name is not checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.wording import did_you_mean

if TYPE_CHECKING:
    from sqlglot.optimizer.scope import Scope

Columns = frozenset[str] | None  # None: any
_WITHOUT_PARENTHESES = frozenset(
    (
        *("current_date", "current_time", "current_timestamp", "localtimestamp", "localtime"),
        *("current_user", "session_user", "user", "current_catalog", "current_database"),
        *("current_schema", "current_timezone", "grouping__id"),
        *("window", "session_window"),  # the columns that grouping by them makes
    )
)
_UNITS = frozenset(
    (
        *("year", "quarter", "month", "week", "day", "dayofyear", "hour", "minute", "second"),
        *("millisecond", "microsecond", "years", "months", "weeks", "days", "hours"),
    )
)


def unknown_columns(sql: str, tables: Mapping[str, Iterable[str] | None]) -> list[tuple[str, str]]:
    """Return the columns that a query cannot have; each with what may have been meant.

    Args:
        sql: a query that has been read without problems.
        tables: the columns of its tables by their names in lower case; None where they are not
            known for certain.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    from kindling_airflow.data_pipes.sql_query import query_tree

    if "|>" in sql:  # the parser rewrites pipes into tables of its own
        return []
    known: dict[str, Columns] = {
        name: None if columns is None else frozenset(column.lower() for column in columns)
        for name, columns in tables.items()
    }
    try:
        tree = query_tree(sql)
        if tree is None or _is_beyond_this(tree):
            return []
        scopes = [s for s in traverse_scope(tree) if isinstance(s.expression, exp.Select)]
        found: dict[str, str] = {}
        for scope in scopes:
            for name, candidates in _unknown_in(scope, known):
                found.setdefault(name, did_you_mean(name, candidates))
    except (SqlglotError, RecursionError):
        return []
    return list(found.items())


def _is_beyond_this(tree: Any) -> bool:
    """Return whether a query makes columns in a way that is not followed here."""
    from sqlglot import exp

    if any(tree.find_all(exp.QueryTransform, exp.MatchRecognize)):
        return True
    return any(found.args.get("recursive") for found in tree.find_all(exp.With))


def _unknown_in(scope: Scope, known: Mapping[str, Columns]) -> Iterator[tuple[str, frozenset[str]]]:
    from sqlglot import exp

    seen: dict[int, Columns] = {}
    sources: dict[str, Columns] = {}
    columns: Columns = frozenset(_aliases(scope))
    here: Scope | None = scope
    while here is not None:
        for name, source in here.sources.items():
            own = _columns_of(source, known, seen)
            sources.setdefault(name.lower(), own)
            columns = None if columns is None or own is None else columns | own
        if _makes_columns(here):
            columns = None
        sees_outer = here.is_subquery or here.expression.find_ancestor(exp.Lateral) is not None
        here = here.parent if sees_outer else None
    for column in scope.columns:
        if column.find_ancestor(exp.Query) is not scope.expression:
            continue  # of a subquery, which is looked at by itself
        parts = [part.name.lower() for part in column.parts]
        if _may_be_anything(column, parts[0]):
            continue
        own = sources.get(parts[0]) if len(parts) > 1 else None
        if len(parts) > 1 and parts[0] in sources:
            if (
                own is not None
                and parts[1] not in own
                and (columns is None or parts[0] not in columns)
            ):
                yield ".".join(parts[:2]), frozenset(f"{parts[0]}.{name}" for name in own)
        elif columns is not None and parts[0] not in columns:
            yield parts[0], columns


def _aliases(scope: Scope) -> Iterator[str]:
    """Yield the names that a SELECT gives to its own columns; others of its parts may use them."""
    expression: Any = scope.expression
    for selected in expression.selects:
        for name in getattr(selected, "aliases", None) or (selected.alias,):
            if name:
                yield str(getattr(name, "name", name)).lower()


def _makes_columns(scope: Scope) -> bool:
    """Return whether a SELECT has columns from elsewhere than its tables and subqueries."""
    expression = scope.expression
    return bool(
        expression.args.get("laterals")
        or any(source.args.get("pivots") for source in _table_expressions(scope))
    )


def _table_expressions(scope: Scope) -> Iterator[Any]:
    from sqlglot import exp

    yield from scope.expression.find_all(exp.Table, exp.Subquery)


def _columns_of(source: Any, known: Mapping[str, Columns], seen: dict[int, Columns]) -> Columns:
    """Return what columns a table or a subquery can have."""
    from sqlglot import exp

    if isinstance(source, exp.Table):
        plain = isinstance(source.this, exp.Identifier) and not source.args.get("pivots")
        renamed = source.args.get("alias") is not None and source.alias_column_names
        if not plain or renamed or len(source.parts) != 1:
            return None
        return known.get(source.name.lower())
    if id(source) in seen:
        return seen[id(source)]
    seen[id(source)] = None  # for one that reads itself
    seen[id(source)] = _columns_of_scope(source, known, seen)
    return seen[id(source)]


def _columns_of_scope(
    scope: Any, known: Mapping[str, Columns], seen: dict[int, Columns]
) -> Columns:
    from sqlglot import exp

    outer = scope.expression.parent
    if isinstance(outer, (exp.CTE, exp.Subquery)) and outer.alias_column_names:
        return frozenset(name.lower() for name in outer.alias_column_names)
    is_set = isinstance(scope.expression, exp.SetOperation)
    if is_set and any(selected.is_star for selected in scope.expression.selects):
        return None
    if not (is_set or isinstance(scope.expression, exp.Select)) or _makes_columns(scope):
        return None
    found: frozenset[str] = frozenset()
    for selected in scope.expression.selects:
        own = _names_of(selected, scope, known, seen)
        if own is None:
            return None
        found |= own
    return found


def _names_of(
    selected: Any, scope: Any, known: Mapping[str, Columns], seen: dict[int, Columns]
) -> Columns:
    """Return the names that a part of a SELECT makes: more than it does, where that is simpler."""
    from sqlglot import exp

    if selected.is_star:
        if isinstance(selected, exp.Column) and selected.table.lower() not in scope.sources:
            return None  # the fields of a struct
        if selected.find(exp.Alias) or selected.args.get("rename"):
            return None
        found: frozenset[str] = frozenset()
        for source in scope.sources.values():
            own = _columns_of(source, known, seen)
            if own is None:
                return None
            found |= own
        return found
    if isinstance(selected, exp.Alias):
        return frozenset((selected.alias.lower(),))
    if isinstance(selected, exp.Column) and len(selected.parts) <= 2:
        return frozenset((selected.name.lower(),))
    return None


def _may_be_anything(column: Any, name: str) -> bool:
    """Return whether a name may stand for something else than a column."""
    from sqlglot import exp

    if (
        name.startswith("_")
        or name in _WITHOUT_PARENTHESES
        or not isinstance(column.this, exp.Identifier)
    ):
        return True
    if name in _UNITS and isinstance(column.parent, exp.Func):
        return True
    return column.find_ancestor(exp.Kwarg, exp.Hint, exp.PropertyEQ, exp.Query) not in (
        column.find_ancestor(exp.Query),
        None,
    )
