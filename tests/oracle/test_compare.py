"""The comparison that the system tests stand on notices every kind of difference."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.oracle.compare import differences

GOOD = [(1, "a", 0.1 + 0.2), (1, "a", 0.1 + 0.2), (2, None, None)]


def _database() -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.execute("CREATE TABLE t (id INTEGER, name VARCHAR, amount DOUBLE)")
    database.executemany("INSERT INTO t VALUES (?, ?, ?)", GOOD)
    return database


def _write(folder: Path, rows: list[tuple[object, ...]], columns: str = "id, name, amount") -> Path:
    scratch = duckdb.connect()
    scratch.execute("CREATE TABLE t (id BIGINT, name VARCHAR, amount DOUBLE)")
    scratch.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    scratch.execute(f"COPY (SELECT {columns} FROM t) TO '{folder / 'part-0.parquet'}'")
    return folder


def test_same_rows_in_another_order_are_equal(tmp_path: Path) -> None:
    assert differences(_database(), "t", _write(tmp_path, GOOD[::-1], "amount, name, id")) == []


def test_the_last_digit_of_a_float_does_not_count(tmp_path: Path) -> None:
    rows = [(1, "a", 0.3), (1, "a", 0.3), (2, None, None)]
    assert differences(_database(), "t", _write(tmp_path, rows)) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (GOOD[1:], ["missing: ('0.3', '1', 'a')"]),
        ([*GOOD, GOOD[0]], ["not expected: ('0.3', '1', 'a')"]),
        ([*GOOD, (3, "c", 1.0)], ["not expected: ('1', '3', 'c')"]),
        (
            [*GOOD[:2], (2, None, 0.0)],
            ["missing: (None, '2', None)", "not expected: ('0', '2', None)"],
        ),
        (
            [*GOOD[:2], (2, "", None)],
            ["missing: (None, '2', None)", "not expected: (None, '2', '')"],
        ),
        (
            [*GOOD[:2], (4, None, None)],
            ["missing: (None, '2', None)", "not expected: (None, '4', None)"],
        ),
    ],
    ids=[
        "missing row",
        "doubled row",
        "extra row",
        "null is not 0",
        "null is not ''",
        "changed value",
    ],
)
def test_a_difference_in_the_rows_is_told(
    tmp_path: Path, rows: list[tuple[object, ...]], told: list[str]
) -> None:
    assert differences(_database(), "t", _write(tmp_path, rows)) == told


def test_a_missing_column_is_told(tmp_path: Path) -> None:
    folder = _write(tmp_path, GOOD, "id, name")
    assert differences(_database(), "t", folder) == [
        "columns: expected ['amount'] besides, found [] besides"
    ]
