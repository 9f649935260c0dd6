"""Is a parquet table on disk, row for row, what it should be?

Rows are compared as a multiset. Everything but floats must be equal; a null equals a null and
nothing else. Rows that agree in all that is exact are lined up by their floats and paired one by
one, which can at worst call equal tables different, never the other way round.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

_TOLERANCE = 1e-6  # relative: engines add floats up in different orders
_SHOWN = 5  # rows of each kind

_FAMILIES = {
    "an integer": (
        *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"),
    ),
    "a float": ("FLOAT", "DOUBLE"),
    "a timestamp": (
        *("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
        "TIMESTAMP WITH TIME ZONE",
    ),
}


def differences(actual: Path, expected: duckdb.DuckDBPyRelation) -> list[str]:
    """Return what distinguishes the parquet files in and beneath a folder from a relation.

    Partition folders (``month=1``) are columns; their values are read as the type expected.
    Integers are equal whatever their width, decimals whatever their scale, timestamps as instants.

    Returns:
        one line per difference, the first few rows of each kind; an empty list for equal tables.
    """
    if not any(actual.glob("**/*.parquet")):
        return [f"there is no parquet file in {str(actual)!r}"]
    files = f"'{actual}/**/*.parquet'"
    wanted = dict(zip(expected.columns, map(str, expected.types), strict=True))
    stored = _types(expected, f"read_parquet({files}, hive_partitioning = false)")
    found = _types(
        expected, f"read_parquet({files}, hive_partitioning = true, hive_types_autocast = false)"
    )
    problems = [f"column {name!r} is missing" for name in wanted if name not in found]
    problems += [f"column {name!r} is not expected" for name in found if name not in wanted]
    problems += [
        f"column {name!r} is {_family(found[name])}, expected {_family(kind)}"
        for name, kind in wanted.items()
        if name in stored and _family(stored[name]) != _family(kind)
    ]
    if problems:
        return problems
    source = f"read_parquet({files}, hive_partitioning = true, hive_types_autocast = false)"
    typed = [
        _quoted(name)
        if name in stored
        else f"TRY_CAST({_quoted(name)} AS {kind}) AS {_quoted(name)}"
        for name, kind in wanted.items()
    ]
    return _row_differences(expected, f"SELECT {', '.join(typed)} FROM {source}", wanted)


def _row_differences(
    expected: duckdb.DuckDBPyRelation, actual: str, columns: dict[str, str]
) -> list[str]:
    floats = [name for name, kind in columns.items() if _family(kind) == "a float"]
    exact = [name for name in columns if name not in floats]
    # Rows that agree in all that is exact are numbered by their floats: each has one partner.
    order = f"PARTITION BY {_list(exact) or '1'} ORDER BY {_list(floats) or '1'}"
    number = f"row_number() OVER ({order})"
    sides = ", ".join(
        f'{side} AS (SELECT *, {number} AS "#", 1 AS "?" FROM ({query}))'
        for side, query in (
            ("e", f"SELECT {_normal(columns)} FROM wanted"),
            ("a", f"SELECT {_normal(columns)} FROM ({actual})"),
        )
    )
    on = " AND ".join(f"e.{_quoted(n)} IS NOT DISTINCT FROM a.{_quoted(n)}" for n in [*exact, "#"])
    close = " AND ".join(_close(name) for name in floats) or "true"
    paired = f"WITH {sides} SELECT * FROM e FULL JOIN a ON {on}"
    kinds = (
        ("missing", 'a."?" IS NULL', "e"),
        ("not expected", 'e."?" IS NULL', "a"),
        ("different", f'a."?" = 1 AND e."?" = 1 AND NOT ({close})', None),
    )
    problems: list[str] = []
    for title, condition, side in kinds:
        shown = [f"{s}.{_quoted(n)}" for s in ([side] if side else ["e", "a"]) for n in columns]
        query = paired.replace("SELECT * FROM e FULL", f"SELECT {', '.join(shown)} FROM e FULL")
        rows = _rows(expected, f"{query} WHERE {condition} ORDER BY ALL")
        problems += [_row_text(title, row, list(columns), floats) for row in rows[:_SHOWN]]
        if len(rows) > _SHOWN:
            problems.append(f"{title}: {len(rows) - _SHOWN} rows more")
    return problems


def _row_text(title: str, row: tuple[object, ...], names: list[str], floats: list[str]) -> str:
    width = len(names)
    if len(row) == width:
        return f"{title}: {dict(zip(names, row, strict=True))}"
    mine = dict(zip(names, row[:width], strict=True))
    other = dict(zip(names, row[width:], strict=True))
    changed = {name: other[name] for name in floats if mine[name] != other[name]}
    return f"{title}: {mine} has {changed}"


def _close(name: str) -> str:
    e, a = f"e.{_quoted(name)}", f"a.{_quoted(name)}"
    # NaN and infinities equal themselves alone: in arithmetic they would pass as close to anything.
    near = f"abs({e} - {a}) <= {_TOLERANCE} * greatest(abs({e}), abs({a}))"
    return (
        f"({e} IS NOT DISTINCT FROM {a} OR "
        f"coalesce(isfinite({e}) AND isfinite({a}) AND {near}, false))"
    )


def _normal(columns: dict[str, str]) -> str:
    """Return expressions in which equal values are equal, whatever they were stored as."""
    casts = {"an integer": "{}::HUGEINT", "a float": "{}::DOUBLE", "a timestamp": "epoch_us({})"}
    return ", ".join(
        f"{casts.get(_family(kind), '{}').format(_quoted(name))} AS {_quoted(name)}"
        for name, kind in columns.items()
    )


def _types(relation: duckdb.DuckDBPyRelation, source: str) -> dict[str, str]:
    rows = _rows(relation, f"DESCRIBE SELECT * FROM {source}")
    return {str(row[0]): str(row[1]) for row in rows}


def _rows(relation: duckdb.DuckDBPyRelation, query: str) -> list[tuple[object, ...]]:
    """Return what a query gives in the relation's own database, where it is called ``wanted``."""
    found = relation.query("wanted", query)
    return found.fetchall() if found is not None else []


def _family(kind: str) -> str:
    if kind.startswith("DECIMAL"):
        return "a decimal"
    return next((family for family, kinds in _FAMILIES.items() if kind in kinds), kind)


def _list(names: list[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
