"""Parquet folders that others have written, without a file that says what is in them.

Columns are found by name in all files, not in whichever Spark looks at first. A declared type is
applied where it holds every value of the stored one, and to the columns that folders name; what
differs otherwise stays as it is stored, for the check of what was read to refuse.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, StructField, StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.files.reading import folder_columns
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.schema.differences import declared_schema, nullable

_WHOLE = ("tinyint", "smallint", "int", "bigint")
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 20}


def read_foreign(context: ProviderContext, entity: EntityMetadata, place: str) -> DataFrame:
    """Return the rows of a folder of parquet files that has no schema of ours.

    Raises:
        PipeRunError: a column has different types in different files, and none is declared.
    """
    spark = context.spark
    options = {"mergeSchema": "true", **context.options_of(entity)}
    declared = declared_schema(entity)
    if declared is not None and not context.storage.any_data(place):
        return spark.createDataFrame([], nullable(declared))
    try:
        frame = spark.read.options(**options).parquet(place)
    except Exception as error:
        if declared is None:
            if "MERGE" not in str(error):
                raise
            raise PipeRunError(
                f"entity {entity.entityid!r}: the files at {place!r} have columns of the same name "
                f"but different types: {str(error).splitlines()[0]}\n"
                "  Fix: declare the entity's schema, or rewrite the files."
            ) from error
        frame = spark.read.options(**{**options, "mergeSchema": "false"}).parquet(place)
    if declared is None:
        return frame
    wanted = _applied(declared, frame.schema, folder_columns(frame))
    if wanted.simpleString() == frame.schema.simpleString():
        return frame
    return spark.read.options(**options).schema(wanted).parquet(place)


def widens(stored: str, declared: str) -> bool:
    """Return whether Spark reads a stored type as the declared one, without loss.

    >>> widens("int", "bigint"), widens("bigint", "int"), widens("int", "decimal(10,0)")
    (True, False, True)
    >>> widens("decimal(10,2)", "decimal(12,2)"), widens("decimal(10,2)", "decimal(10,3)")
    (True, False)
    >>> widens("float", "double"), widens("string", "int")
    (True, False)
    """
    if stored in _WHOLE and declared in _WHOLE:
        return _WHOLE.index(stored) <= _WHOLE.index(declared)
    to = _decimal(declared)
    if to is not None:
        start = (_DIGITS[stored], 0) if stored in _DIGITS else _decimal(stored)
        return start is not None and to[1] >= start[1] and to[0] - to[1] >= start[0] - start[1]
    exact = {("float", "double"), *((whole, "double") for whole in _WHOLE[:3])}
    return stored == declared or (stored, declared) in exact


def _decimal(kind: str) -> tuple[int, int] | None:
    if not kind.startswith("decimal("):
        return None
    precision, scale = kind.removeprefix("decimal(").removesuffix(")").split(",")
    return int(precision), int(scale)


def _applied(declared: StructType, stored: StructType, folders: list[str]) -> StructType:
    """Return the stored columns, in the declared types as far as that is without loss."""
    wanted = {field.name: field.dataType for field in declared}

    def kind_of(field: Any) -> DataType:
        kind: DataType | None = wanted.get(field.name)
        if kind is None:
            return field.dataType  # type: ignore[no-any-return]
        names = (field.dataType.simpleString(), kind.simpleString())
        return kind if field.name in folders or widens(*names) else field.dataType

    return StructType([StructField(f.name, nullable(kind_of(f))) for f in stored])
