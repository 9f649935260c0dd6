"""Parquet folders that others have made: a declared schema is applied, or they are refused."""

from __future__ import annotations

import decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runner.conftest import Project

pytestmark = pytest.mark.system


def written(project: Project, **tables: pa.Table) -> None:
    """Write files with another tool; ``___`` in a name is a slash."""
    for name, table in tables.items():
        path = project.warehouse / "src" / f"{name.replace('___', '/')}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)


def declared(project: Project, schema: str | None, **tags: Any) -> None:
    project.entity("src", schema=schema, tags=tags)
    project.pipe("out", lambda src: src, "src")


def copied(project: Project) -> list[tuple[Any, ...]]:
    report = project.run("out")
    assert report.error is None, report.error
    return project.rows("out")


def refusal(project: Project) -> str:
    report = project.run("out")
    assert report.error is not None
    assert report.extra["permanent"] is True, report.error
    return report.error.message


def ints(kind: Any, *values: int) -> pa.Array:
    return pa.array(values, kind)


def test_columns_in_another_order_belong_together_by_name(project: Project) -> None:
    written(
        project,
        a=pa.table({"id": ints(pa.int32(), 1), "name": ["x"]}),
        b=pa.table({"name": ["y"], "id": ints(pa.int32(), 2)}),
    )
    declared(project, "name STRING, id INT")
    assert copied(project) == [("x", 1), ("y", 2)]


@pytest.mark.parametrize("schema", [None, "id INT, name STRING, more DOUBLE"])
def test_a_column_that_came_later_is_null_before(project: Project, schema: str | None) -> None:
    written(
        project,
        a=pa.table({"id": ints(pa.int32(), 1), "name": ["x"]}),
        b=pa.table({"id": ints(pa.int32(), 2), "name": ["y"], "more": [2.5]}),
    )
    declared(project, schema)
    assert copied(project) == [(1, "x", None), (2, "y", 2.5)]


def test_types_of_which_the_declared_one_holds_all_values_are_applied(project: Project) -> None:
    written(
        project,
        a=pa.table(
            {
                "id": ints(pa.int32(), 2**31 - 1),
                "x": pa.array([1.5], pa.float32()),
                "d": pa.array([decimal.Decimal("1.25")], pa.decimal128(5, 2)),
            }
        ),
        b=pa.table(
            {
                "id": ints(pa.int64(), 2**40),
                "x": pa.array([2.5], pa.float64()),
                "d": pa.array([decimal.Decimal("9.75")], pa.decimal128(5, 2)),
            }
        ),
    )
    declared(project, "id BIGINT, x DOUBLE, d DECIMAL(12, 3)")
    assert sorted(copied(project)) == [
        (2**31 - 1, 1.5, decimal.Decimal("1.250")),
        (2**40, 2.5, decimal.Decimal("9.750")),
    ]


def test_types_that_differ_and_are_not_declared_are_refused(project: Project) -> None:
    written(project, a=pa.table({"id": ints(pa.int32(), 1)}), b=pa.table({"id": ["two"]}))
    declared(project, None)
    assert "have columns of the same name but different types" in refusal(project)


@pytest.mark.parametrize(
    ("column", "schema", "told"),
    [
        (pa.array([2**40]), "id INT", "column 'id' is bigint, declared as int"),
        (pa.array(["1"]), "id INT", "column 'id' is string, declared as int"),
        (pa.array([1.5]), "id FLOAT", "column 'id' is double, declared as float"),
        (pa.array([1]), "id BIGINT, name STRING", "column 'name' (string) is missing"),
        (pa.array([1]), "ID BIGINT", "column 'ID' is spelled 'id'"),
    ],
)
def test_what_does_not_fit_is_refused(
    project: Project, column: pa.Array, schema: str, told: str
) -> None:
    written(project, a=pa.table({"id": column}))
    declared(project, schema)
    assert told in refusal(project)


def test_a_file_whose_type_does_not_fit_is_refused_among_others(project: Project) -> None:
    written(
        project,
        a=pa.table({"id": ints(pa.int64(), 1)}),
        b=pa.table({"id": ["two"]}),
        c=pa.table({"id": ints(pa.int64(), 3)}),
    )
    declared(project, "id BIGINT")
    refusal(project)


def test_columns_of_folders_have_their_declared_types(project: Project) -> None:
    written(
        project,
        **{
            "code=01234___a": pa.table({"id": ints(pa.int32(), 1)}),
            "code=7___b": pa.table({"id": ints(pa.int32(), 2)}),
        },
    )
    declared(project, "code STRING, id INT")
    assert copied(project) == [("01234", 1), ("7", 2)]


def test_a_value_of_a_folder_that_does_not_fit_is_refused(project: Project) -> None:
    written(
        project,
        **{
            "code=x___a": pa.table({"id": ints(pa.int32(), 1)}),
            "code=7___b": pa.table({"id": ints(pa.int32(), 2)}),
        },
    )
    declared(project, "code INT, id INT")
    text = refusal(project)
    assert "code" in text


def test_a_folder_without_files_is_a_table_without_rows(project: Project) -> None:
    (project.warehouse / "src").mkdir()
    declared(project, "id INT, name STRING")
    report = project.run("out")
    assert (report.error, "does not exist" in str(report.reason)) == (None, False)
    written(project, a=pa.table({"id": ints(pa.int32(), 1), "name": ["x"]}))
    assert copied(project) == [(1, "x")]
