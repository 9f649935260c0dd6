"""The comparison that the system tests stand on notices every kind of difference."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.oracle.compare import differences

ROWS = "(1, 'a', 0.5::DOUBLE), (1, 'a', 0.5::DOUBLE), (2, 'b', NULL), (3, NULL, 0::DOUBLE)"
COLUMNS = "id, name, amount"


def relation(rows: str = ROWS, columns: str = COLUMNS) -> duckdb.DuckDBPyRelation:
    return duckdb.connect().sql(f"SELECT * FROM (VALUES {rows}) AS t({columns})")


def table(folder: Path, rows: str = ROWS, select: str = "*") -> Path:
    folder.mkdir(exist_ok=True)
    duckdb.connect().execute(
        f"COPY (SELECT {select} FROM (VALUES {rows}) AS t({COLUMNS})) "
        f"TO '{folder / 'part-0.parquet'}' (FORMAT parquet)"
    )
    return folder


def test_equal_tables_have_no_differences(tmp_path: Path) -> None:
    assert differences(table(tmp_path), relation()) == []


def test_order_of_rows_and_columns_and_width_of_integers_do_not_matter(tmp_path: Path) -> None:
    rows = "(3, NULL, 0::DOUBLE), (2, 'b', NULL), (1, 'a', 0.5::DOUBLE), (1, 'a', 0.5::DOUBLE)"
    folder = table(tmp_path, rows, "amount, name, id::BIGINT AS id")
    assert differences(folder, relation()) == []


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param(
            "(1, 'a', 0.5::DOUBLE), (1, 'a', 0.5::DOUBLE), (2, 'b', NULL)",
            ["missing: {'id': 3, 'name': None, 'amount': 0.0}"],
            id="a missing row",
        ),
        pytest.param(
            f"{ROWS}, (4, 'd', 1::DOUBLE)",
            ["not expected: {'id': 4, 'name': 'd', 'amount': 1.0}"],
            id="an extra row",
        ),
        pytest.param(
            f"{ROWS}, (1, 'a', 0.5::DOUBLE)",
            ["not expected: {'id': 1, 'name': 'a', 'amount': 0.5}"],
            id="a row once too often",
        ),
        pytest.param(
            "(1, 'a', 0.5::DOUBLE), (2, 'b', NULL), (3, NULL, 0::DOUBLE)",
            ["missing: {'id': 1, 'name': 'a', 'amount': 0.5}"],
            id="a row once too seldom",
        ),
        pytest.param(
            ROWS.replace("2, 'b'", "2, 'c'"),
            [
                "missing: {'id': 2, 'name': 'b', 'amount': None}",
                "not expected: {'id': 2, 'name': 'c', 'amount': None}",
            ],
            id="a changed text",
        ),
        pytest.param(
            ROWS.replace("0::DOUBLE", "0.001::DOUBLE"),
            ["different: {'id': 3, 'name': None, 'amount': 0.0} has {'amount': 0.001}"],
            id="a changed float",
        ),
        pytest.param(
            ROWS.replace("'b', NULL", "'b', 0::DOUBLE"),
            ["different: {'id': 2, 'name': 'b', 'amount': None} has {'amount': 0.0}"],
            id="0 for null",
        ),
        pytest.param(
            ROWS.replace("0::DOUBLE", "NULL"),
            ["different: {'id': 3, 'name': None, 'amount': 0.0} has {'amount': None}"],
            id="null for 0",
        ),
        pytest.param(
            ROWS.replace("3, NULL", "3, ''"),
            [
                "missing: {'id': 3, 'name': None, 'amount': 0.0}",
                "not expected: {'id': 3, 'name': '', 'amount': 0.0}",
            ],
            id="an empty text for null",
        ),
        pytest.param(
            ROWS.replace("0::DOUBLE", "'nan'::DOUBLE"),
            ["different: {'id': 3, 'name': None, 'amount': 0.0} has {'amount': nan}"],
            id="not a number",
        ),
    ],
)
def test_a_difference_in_the_rows_is_told(tmp_path: Path, rows: str, told: list[str]) -> None:
    assert differences(table(tmp_path, rows), relation()) == told


def test_floats_may_differ_by_a_millionth_and_no_more(tmp_path: Path) -> None:
    near = table(tmp_path / "near", ROWS.replace("0.5", "0.5000004"))
    far = table(tmp_path / "far", ROWS.replace("0.5", "0.500001"))
    assert differences(near, relation()) == []
    assert differences(far, relation()) == [
        "different: {'id': 1, 'name': 'a', 'amount': 0.5} has {'amount': 0.500001}",
        "different: {'id': 1, 'name': 'a', 'amount': 0.5} has {'amount': 0.500001}",
    ]


def test_missing_and_unexpected_columns_are_told(tmp_path: Path) -> None:
    assert differences(table(tmp_path, select="id, name, 1 AS more"), relation()) == [
        "column 'amount' is missing",
        "column 'more' is not expected",
    ]


def test_a_column_of_another_type_is_told_even_if_it_looks_the_same(tmp_path: Path) -> None:
    assert differences(table(tmp_path, select="id::VARCHAR AS id, name, amount"), relation()) == [
        "column 'id' is VARCHAR, expected an integer"
    ]


def test_partition_folders_are_columns(tmp_path: Path) -> None:
    for number in (1, 2):
        table(tmp_path / f"id={number}", f"({number}, 'a', 0.5::DOUBLE)", "name, amount")
    assert differences(tmp_path, relation("(1, 'a', 0.5::DOUBLE), (2, 'a', 0.5::DOUBLE)")) == []
    assert differences(tmp_path, relation("(1, 'a', 0.5::DOUBLE), (3, 'a', 0.5::DOUBLE)")) == [
        "missing: {'id': 3, 'name': 'a', 'amount': 0.5}",
        "not expected: {'id': 2, 'name': 'a', 'amount': 0.5}",
    ]


def test_a_folder_without_a_table_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    assert differences(missing, relation()) == [f"there is no parquet file in {str(missing)!r}"]


def test_many_differences_are_counted_but_only_five_shown(tmp_path: Path) -> None:
    rows = ", ".join(f"({n}, 'x', 0::DOUBLE)" for n in range(7))
    found = differences(table(tmp_path, rows), relation("(100, 'x', 0::DOUBLE)"))
    assert found == [
        "missing: {'id': 100, 'name': 'x', 'amount': 0.0}",
        *(f"not expected: {{'id': {n}, 'name': 'x', 'amount': 0.0}}" for n in range(5)),
        "not expected: 2 rows more",
    ]
