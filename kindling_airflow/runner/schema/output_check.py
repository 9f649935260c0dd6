"""Checks that a pipe's result fits its declaration, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.schema.differences import (
    arranged,
    declared_lengths,
    declared_schema,
    nulls_at,
    quoted,
    schema_differences,
    too_long,
)


def checked_output(
    pipe: PipeMetadata,
    output: EntityMetadata,
    result: Any,
    kept: Callable[[DataFrame], DataFrame] = lambda frame: frame,
) -> DataFrame:
    """Return a pipe's result, with its columns in the declared order where a schema is declared.

    Nulls where ``NOT NULL`` is declared can only be seen in the rows: they fail the write.

    Args:
        pipe: the pipe.
        output: what it writes.
        result: what it returned.
        kept: takes the rows out that are dropped, before nulls are looked for.

    Raises:
        PipeRunError: the result is not a DataFrame, has a column twice, lacks a partition column,
            or
            does not fit the declared schema; lists every difference.
    """
    if not isinstance(result, DataFrame):
        what = "returned nothing" if result is None else f"returned a {type(result).__name__}"
        raise PipeRunError(
            f"pipe {pipe.pipeid!r} {what} instead of a DataFrame\n"
            "  Fix: end the function with 'return <DataFrame>'."
        )
    problems = [f"column {name!r} comes {n} times" for name, n in _repeated(result.columns).items()]
    problems += [
        f"partition column {name!r} is missing"
        for name in output.partition_columns
        if name not in result.columns
    ]
    declared = declared_schema(output)
    if declared is not None:
        problems += schema_differences(declared, result.schema)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise PipeRunError(
            f"pipe {pipe.pipeid!r}: its result does not match entity "
            f"{output.entityid!r}\n{listed}\n"
            "  Fix: change the pipe's result, or the entity's declaration."
        )
    if declared is None:
        return kept(result)
    return _without_nulls(pipe, output, kept(arranged(result, declared)), declared)


def _repeated(names: list[str]) -> dict[str, int]:
    """Return the repeated names; Spark's columns are case-insensitive."""
    return {name: n for name, n in Counter(name.lower() for name in names).items() if n > 1}


def _without_nulls(
    pipe: PipeMetadata, output: EntityMetadata, frame: DataFrame, declared: StructType
) -> DataFrame:
    """Make nulls where ``NOT NULL`` is declared, and texts longer than declared, errors.

    They are raised when the rows are computed.
    """
    columns = []
    lengths = declared_lengths(output) or declared
    for field, found in zip(declared, frame.schema, strict=True):
        column = F.col(quoted(field.name))
        wrong = nulls_at(column, field.dataType, field.nullable or not found.nullable)
        if wrong is not None:
            message = (
                f"pipe {pipe.pipeid!r}: its result has a null in column {field.name!r}, which "
                f"entity {output.entityid!r} declares as {_with_not_null(field)}\n"
                "  Fix: remove or fill such rows, or allow nulls in the declaration."
            )
            error = F.raise_error(F.lit(message)).cast(found.dataType)
            column = F.when(wrong, error).otherwise(column).alias(field.name)
        lengthy = too_long(F.col(quoted(field.name)), lengths[field.name].dataType)
        if lengthy is not None:
            message = (
                f"pipe {pipe.pipeid!r}: its result has a value in column {field.name!r} that is "
                f"longer than entity {output.entityid!r} declares: "
                f"{lengths[field.name].dataType.simpleString()}\n"
                "  Fix: shorten such values, or declare a longer type, or STRING."
            )
            error = F.raise_error(F.lit(message)).cast(found.dataType)
            column = F.when(lengthy, error).otherwise(column).alias(field.name)
        columns.append(column)
    return frame.select(*columns)


def _with_not_null(field: StructField) -> str:
    return f"{field.dataType.simpleString()} NOT NULL" if not field.nullable else "NOT NULL inside"
