"""An expectation as a Spark column that is true for the rows that violate it."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from functools import reduce
from operator import or_
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DoubleType,
    FloatType,
    MapType,
    NumericType,
    StringType,
    StructType,
)

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_pipes.expectations import Expectation
from kindling_airflow.runner.schema.differences import quoted

_MOST_COLUMNS = 20
_BIGINT = 2**63


class MisfitError(Exception):
    """An expectation cannot be asked of these columns."""


def violated(expected: Expectation, frame: DataFrame) -> Column:
    """Return a column that is true or false, never null, for every row of a frame.

    Raises:
        MisfitError: the frame has not these columns, or not of such types.
    """
    if expected.check == "satisfies":
        return ~F.coalesce(_predicate(str(expected.predicate), frame), F.lit(False))
    columns = [resolved(name, frame) for name in expected.columns]
    if expected.check == "not_null":
        return reduce(or_, (column.isNull() for column, _ in columns))
    column, kind = columns[0]
    if expected.check == "accepted":
        values = [_literal(value, kind, frame) for value in expected.values]
        return column.isNotNull() & ~column.isin(*values)
    return column.isNotNull() & _outside(expected, column, kind, frame)


def _outside(expected: Expectation, column: Column, kind: DataType, frame: DataFrame) -> Column:
    if isinstance(kind, BooleanType):
        raise MisfitError(f"column {expected.columns[0]!r} is boolean, which has no range")
    wrong = []
    if expected.minimum is not None:
        wrong.append(column < _literal(expected.minimum, kind, frame))
    if expected.maximum is not None:
        wrong.append(column > _literal(expected.maximum, kind, frame))
    if isinstance(kind, (DoubleType, FloatType)):
        wrong.append(F.isnan(column))  # Spark sorts NaN behind every number
    return reduce(or_, wrong)


def resolved(name: str, frame: DataFrame) -> tuple[Column, DataType]:
    """Return a column by its name, or a field inside of a struct by its path, and its type.

    A name that has dots in it goes before a path.

    Raises:
        MisfitError: the column does not exist.
    """
    found = _field(name, frame.schema, frame)
    if found is not None:
        return F.col(quoted(found[0])), found[1]
    path: list[str] = []
    kind: DataType = frame.schema
    for step in name.split("."):
        found = _field(step, kind, frame) if isinstance(kind, StructType) else None
        if found is None:
            known = frame.columns
            listed = ", ".join(known[:_MOST_COLUMNS]) + (", ..." * (len(known) > _MOST_COLUMNS))
            hint = did_you_mean(name, known) or f" The result has {listed}."
            raise MisfitError(f"column {name!r} not found.{hint}")
        path.append(quoted(found[0]))
        kind = found[1]
    return F.col(".".join(path)), kind


def _field(name: str, schema: Any, frame: DataFrame) -> tuple[str, DataType] | None:
    """Return a field's own name and type; case counts only if Spark is configured so."""
    exactly = frame.sparkSession.conf.get("spark.sql.caseSensitive") == "true"
    for field in schema:
        if field.name == name or (not exactly and field.name.lower() == name.lower()):
            return field.name, field.dataType
    return None


def _predicate(text: str, frame: DataFrame) -> Column:
    try:
        column = F.expr(text)
        kind = frame.select(column).schema[0].dataType
    except PySparkException as error:
        raise MisfitError(first_line(error)) from error
    if not isinstance(kind, BooleanType):
        raise MisfitError(f"the predicate is {kind.simpleString()}, not boolean: {text}")
    return column


def first_line(error: Exception) -> str:
    """Return Spark's message without the plan."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(";") if lines else type(error).__name__


def _literal(value: Any, kind: DataType, frame: DataFrame) -> Column:
    """Return a declared value as one of a column's type.

    Raises:
        MisfitError: it is none.
    """
    fitting: Column | None = None
    if isinstance(kind, StringType):
        fitting = F.lit(value) if isinstance(value, str) else None
    elif isinstance(kind, BooleanType):
        fitting = F.lit(value) if isinstance(value, bool) else None
    elif isinstance(kind, NumericType):
        fitting = _number(value, kind)
    elif isinstance(value, str) and not isinstance(kind, (ArrayType, MapType, StructType)):
        fitting = F.lit(value).cast(kind) if _is_castable(value, kind, frame) else None
    if fitting is None:
        raise MisfitError(f"{value!r} is not a valid {kind.simpleString()}")
    return fitting


def _number(value: Any, kind: DataType) -> Column | None:
    """Return a number exactly as it was written down, for floats in the column's own precision."""
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if isinstance(kind, (DoubleType, FloatType)):
        return F.lit(float(number)).cast(kind)
    if number != number.to_integral_value():
        return F.lit(number)
    whole = int(number)
    return F.lit(whole if -_BIGINT <= whole < _BIGINT else Decimal(whole))


def _is_castable(text: str, kind: DataType, frame: DataFrame) -> bool:
    """Ask Spark, which needs no job for it: the row is made by the optimizer."""
    row = frame.sparkSession.sql("SELECT 1").select(F.lit(text).try_cast(kind).isNotNull())
    return bool(row.collect()[0][0])
