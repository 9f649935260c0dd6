"""Two schemas, column by column, as deep as they go; no session is needed to compare them."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql.types import (
    ArrayType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from kindling_airflow.runner.schema.differences import schema_differences

INT, LONG, TEXT = IntegerType(), LongType(), StringType()


def struct(**fields: Any) -> StructType:
    return StructType([StructField(name, kind) for name, kind in fields.items()])


def differences(declared: StructType, actual: StructType) -> list[str]:
    return schema_differences(declared, actual)


def test_equal_schemas_have_none() -> None:
    schema = struct(a=INT, b=ArrayType(struct(c=MapType(TEXT, LONG))))
    assert differences(schema, schema) == []


def test_neither_order_nor_nulls_are_differences() -> None:
    declared = StructType(
        [
            StructField("a", INT, nullable=False),
            StructField("b", ArrayType(struct(x=INT, y=TEXT), containsNull=False)),
        ]
    )
    actual = struct(b=ArrayType(struct(y=TEXT, x=INT)), a=INT)
    assert differences(declared, actual) == []


def test_columns_that_are_missing_too_many_or_of_another_type() -> None:
    declared = struct(id=LONG, customer=TEXT, day=DateType())
    actual = struct(id=INT, custmer=TEXT, price=DecimalType(10, 2))
    assert differences(declared, actual) == [
        "column 'id' is int, declared as bigint",
        "column 'customer' (string) is missing",
        "column 'day' (date) is missing",
        "column 'custmer' (string) is not declared. Did you mean 'customer'?",
        "column 'price' (decimal(10,2)) is not declared",
    ]


def test_another_spelling_is_one_difference_and_not_two() -> None:
    assert differences(struct(orderId=LONG), struct(OrderID=INT)) == [
        "column 'orderId' is spelled 'OrderID'",
        "column 'orderId' is int, declared as bigint",
    ]


def test_a_column_that_differs_in_case_alone_from_a_declared_one_is_too_many() -> None:
    assert differences(struct(id=INT), struct(id=INT, ID=INT)) == [
        "column 'ID' (int) is not declared"
    ]


@pytest.mark.parametrize(
    ("declared", "actual", "told"),
    [
        (struct(b=LONG), struct(b=INT), "column 'a.b' is int, declared as bigint"),
        (struct(b=INT), struct(), "column 'a.b' (int) is missing"),
        (struct(), struct(b=INT), "column 'a.b' (int) is not declared"),
        (ArrayType(LONG), ArrayType(INT), "column 'a[]' is int, declared as bigint"),
        (MapType(LONG, INT), MapType(INT, INT), "column 'a{key}' is int, declared as bigint"),
        (MapType(INT, LONG), MapType(INT, INT), "column 'a{value}' is int, declared as bigint"),
        (
            ArrayType(MapType(TEXT, struct(b=ArrayType(struct(c=LONG))))),
            ArrayType(MapType(TEXT, struct(b=ArrayType(struct(c=INT))))),
            "column 'a[]{value}.b[].c' is int, declared as bigint",
        ),
        (struct(b=INT), ArrayType(INT), "column 'a' is array<int>, declared as struct<b:int>"),
        (DecimalType(10, 2), DecimalType(10, 3), "column 'a' is decimal(10,3), declared as "),
    ],
)
def test_differences_inside_of_a_column_say_where(declared: Any, actual: Any, told: str) -> None:
    [found] = differences(struct(a=declared), struct(a=actual))
    assert found.startswith(told)
