"""From which columns of its tables each column of a query is made, as far as that is certain.

    SELECT o.day, sum(o.amount) AS revenue FROM silver_orders o GROUP BY o.day

    day       silver_orders.day
    revenue   silver_orders.amount

A column with a source that is not certain is left out: a star over unknown columns, a function that
makes rows, a name that several tables could have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["column_sources"]

_MOST_COLUMNS = 300  # each is a walk through the query


def column_sources(
    sql: str, columns: Iterable[str], tables: Mapping[str, Iterable[str]]
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the sources of columns of a query, each a table and a column; unknown ones are absent.

    Args:
        sql: the query.
        columns: the columns of its result.
        tables: the columns of its tables, by their names in lower case.
    """
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    wanted = list(columns)
    if "|>" in sql or len(wanted) > _MOST_COLUMNS:
        return {}
    schema = {
        f'"{name}"': dict.fromkeys(found, "string") for name, found in tables.items() if found
    }
    result: dict[str, tuple[tuple[str, str], ...]] = {}
    for column in wanted:
        try:
            node = lineage(f"`{column}`", sql, schema=schema, dialect="spark")
        except (SqlglotError, ValueError, KeyError, RecursionError):
            continue
        found: dict[tuple[str, str], None] = {}
        for leaf in node.walk() if not isinstance(node, dict) else ():
            if leaf.downstream:
                continue
            table = leaf.source if isinstance(leaf.source, exp.Table) else None
            if table is None and not _has_columns(leaf.expression):
                continue  # a constant, or a count of rows
            name = None if table is None else table.name.lower()
            if name not in tables:
                found.clear()
                break
            found[str(name), leaf.name.rpartition(".")[2].strip('`"')] = None
        if found:
            result[column] = tuple(found)
    return result


def _has_columns(expression: object) -> bool:
    from sqlglot import exp

    return isinstance(expression, exp.Expression) and expression.find(exp.Column) is not None
