"""Columns with hostile names: data, keys, slices, partitions, fields, in every write mode."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from kindling_airflow.runner.providers.contract import Case
from tests.runner.formats.format_tests import publish, slice_of_day, stored, write_of

# Delta keeps the characters ' ,;{}()\n\t=' out of names of columns unless a table maps them.
NAMES = ("a`b", "a.b", "a.`b", "a%20b", "Zürich", "it's", 'x"y', "select", "count", "a-b", "a b")
A, B, C = date(2013, 1, 1), date(2013, 1, 2), date(2013, 1, 3)


def names_for(kind: str) -> list[str]:
    return [name for name in NAMES if kind != "delta" or " " not in name]


@pytest.mark.parametrize("partitioned", [False, True])
def test_columns_may_have_any_name(case: Case, kind: str, partitioned: bool) -> None:
    from pyspark.sql.types import DateType, IntegerType, StringType, StructType

    names, day = names_for(kind), "the`day.%"
    schema = StructType()
    for name in names:
        schema = schema.add(name, StringType())
    schema = schema.add(day, DateType()).add("n", IntegerType())
    parts = (*names, day) if partitioned else ()
    entity = case.entity(partition_columns=parts, merge_columns=tuple(names))

    def rows(*said: tuple[str, date, int]) -> list[tuple[Any, ...]]:
        return sorted(((*(text for _ in names), at, n) for text, at, n in said), key=repr)

    def write(run: int, mode: str, *said: tuple[str, date, int], **more: Any) -> None:
        frame = case.spark.createDataFrame(rows(*said), schema)
        publish(case, entity, frame, write_of(run, mode, **more))

    write(1, "overwrite", ("gone", A, 0))  # makes the table
    write(1, "overwrite", ("x", A, 1), ("y", B, 2))
    assert stored(case, entity) == rows(("x", A, 1), ("y", B, 2))
    write(2, "append", ("z", C, 3))
    write(3, "merge", ("x", A, 10), ("w", C, 4))
    write(4, "overwrite_interval", ("y", B, 20), slice=slice_of_day(2, day))
    assert stored(case, entity) == rows(("w", C, 4), ("x", A, 10), ("y", B, 20), ("z", C, 3))


@pytest.mark.parametrize("count", [0, 1])
def test_added_columns_and_their_fields_may_have_any_name(
    tagged: Callable[..., Case], kind: str, count: int
) -> None:
    from pyspark.sql.types import ArrayType, IntegerType, LongType, MapType, StringType, StructType

    case, names = tagged(**{"provider.new_columns": "add"}), names_for(kind)
    entity = case.entity()
    publish(case, entity, case.spark.range(1), write_of(1, "append"))
    inner = StructType()
    for name in names:
        inner = inner.add(name, IntegerType())
    wide = StructType().add("id", LongType())
    for name in names:
        wide = wide.add(f"{name}!", MapType(StringType(), ArrayType(inner)))
    value = {"k": [tuple(range(len(names)))]}
    frame = case.spark.createDataFrame([(7, *(value for _ in names))][:count], wide)
    publish(case, entity, frame, write_of(2, "append"))
    found = case.provider(entity).read(entity)
    assert found.schema.simpleString() == wide.simpleString()
    assert sorted(row[0] for row in found.collect()) == [0, 7][: 1 + count]
    assert all(row[1:] == (None,) * len(names) for row in found.where("id = 0").collect())
