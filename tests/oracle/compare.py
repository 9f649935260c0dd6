"""Is a parquet table on disk, row for row, what it should be?"""

from __future__ import annotations

from pathlib import Path

import duckdb

_FLOATS = ("FLOAT", "DOUBLE", "DECIMAL")
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UBIGINT")


def differences(database: duckdb.DuckDBPyConnection, table: str, folder: Path) -> list[str]:
    """Return what distinguishes the parquet files in a folder from a table of the database.

    Rows are compared as a multiset; floats by 9 significant digits, because two engines add them up
    in different orders; integers whatever their width; timestamps as instants.
    """
    expected = _columns(database, f'SELECT * FROM "{table}"')
    source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    actual = _columns(database, f"SELECT * FROM {source}")
    if set(expected) != set(actual):
        return [
            f"columns: expected {sorted(set(expected) - set(actual))} besides, "
            f"found {sorted(set(actual) - set(expected))} besides"
        ]
    left = f'SELECT {_normal(expected)} FROM "{table}"'
    right = f"SELECT {_normal({name: actual[name] for name in expected})} FROM {source}"
    found = []
    for title, one, other in (("missing", left, right), ("not expected", right, left)):
        rows = database.execute(f"({one}) EXCEPT ALL ({other}) ORDER BY ALL LIMIT 5").fetchall()
        found += [f"{title}: {row}" for row in rows]
    return found


def _columns(database: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    return {row[0]: row[1] for row in database.execute(f"DESCRIBE {query}").fetchall()}


def _normal(columns: dict[str, str]) -> str:
    """Return expressions, in the order of the names, in which equal values have equal texts."""
    parts = []
    for name in sorted(columns):
        kind = columns[name].split("(")[0]
        if kind in _FLOATS:
            parts.append(f"format('{{:.9g}}', \"{name}\"::DOUBLE + 0.0)")
        elif kind in _INTEGERS:
            parts.append(f'"{name}"::HUGEINT::VARCHAR')
        elif kind.startswith("TIMESTAMP"):
            parts.append(f'epoch_us("{name}")::VARCHAR')
        else:
            parts.append(f'"{name}"::VARCHAR')
    return ", ".join(
        f'{part} AS "{name}"' for part, name in zip(parts, sorted(columns), strict=True)
    )
