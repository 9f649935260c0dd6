"""Finds columns that a format cannot store, by their types, names and role as partitions.

Spark and the formats refuse most of these themselves, late and in their own words; a few they
take and lose. So all of them are refused before anything is written, in one list.

| | parquet, table | delta | iceberg |
|---|---|---|---|
| INTERVAL (of the calendar) | no | no | no |
| other intervals | yes | no | no |
| VOID | yes | not inside of others | no |
| STRING with a collation | yes | no | no |
| VARIANT | yes | yes | in tables of format 3 |
| partitioned by BINARY | no | no | yes |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import types as T
from pyspark.sql.types import DataType, StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.failures.retryable import is_permanent

_NOT_IN_DELTA = " ,;{}()\n\t="
_KEPT_BY_SPARK = "_tmp_metadata_row_index"  # of parquet files, as which all formats are staged
# A table with such a column can be written, and never be read again.
_KEPT_BY_ICEBERG = (
    *("_deleted", "_file", "_last_updated_sequence_number", "_partition", "_pos", "_row_id"),
    "_spec_id",
)


def check_columns_storable(
    entity: EntityMetadata, kind: str, schema: StructType, *, is_new: bool
) -> None:
    """Return if a format can have columns of these types and names.

    Args:
        entity: what is written.
        kind: its format: ``parquet``, ``table``, ``delta``, ``iceberg``.
        schema: the columns of the result.
        is_new: whether the table is made by this write; one that is there may have been made with
            what lets it have more.

    Raises:
        PipeRunError: it cannot; lists every reason.
    """
    problems = [
        *(text for f in schema for text in _type_problems(f.name, f.dataType, kind, is_new=is_new)),
        *_name_problems(schema, kind, is_new=is_new),
        *_partition_problems(entity, schema, kind),
    ]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise PipeRunError(
            f"entity {entity.entityid!r}: {kind} cannot store the result as it is\n{listed}\n"
            "  Fix: cast, rename or remove these columns."
        )


@contextmanager
def refusals_of(entity: EntityMetadata, kind: str) -> Iterator[None]:
    """Name the entity and the format where a result is refused for what only the format knows.

    Raises:
        PipeRunError: Spark or the format refuses the columns, and would again.
    """
    try:
        yield
    except AnalysisException as error:
        if not is_permanent(error):
            raise
        raise PipeRunError(
            f"entity {entity.entityid!r}: {kind} rejects the result: {error}\n"
            "  Fix: change the pipe's result, or the entity's declaration."
        ) from error


def _type_problems(
    path: str, found: DataType, kind: str, *, is_new: bool, inside: bool = False
) -> Iterator[str]:

    def each(child: str, inner: DataType) -> Iterator[str]:
        return _type_problems(child, inner, kind, is_new=is_new, inside=True)

    if isinstance(found, T.StructType):
        for field in found:
            yield from each(f"{path}.{field.name}", field.dataType)
        twice = Counter(field.name.lower() for field in found)
        for name in (name for name, times in twice.items() if times > 1):
            yield f"column {path!r} has the field {name!r} more than once, ignoring case"
    elif isinstance(found, T.ArrayType):
        yield from each(f"{path}[]", found.elementType)
    elif isinstance(found, T.MapType):
        yield from each(f"{path}{{key}}", found.keyType)
        yield from each(f"{path}{{value}}", found.valueType)
    elif _is_refused(found, kind, is_new=is_new, inside=inside):
        yield f"column {path!r} is of type {found.simpleString().upper()}"


def _is_refused(found: DataType, kind: str, *, is_new: bool, inside: bool) -> bool:
    if isinstance(found, T.CalendarIntervalType):
        return True
    if kind not in ("delta", "iceberg"):
        return False
    if isinstance(found, (T.DayTimeIntervalType, T.YearMonthIntervalType)):
        return True
    if isinstance(found, T.StringType):
        return _is_collated(found)
    if isinstance(found, T.NullType):
        return inside if kind == "delta" else is_new
    return isinstance(found, T.VariantType) and kind == "iceberg" and is_new


def _is_collated(kind: Any) -> bool:
    return str(getattr(kind, "collation", "UTF8_BINARY")) != "UTF8_BINARY"


def _name_problems(schema: StructType, kind: str, *, is_new: bool) -> Iterator[str]:
    for name in schema.fieldNames():
        if name == _KEPT_BY_SPARK:
            yield f"column {name!r} has a name that is reserved by Spark"
        elif kind == "iceberg" and name in _KEPT_BY_ICEBERG:
            yield f"column {name!r} has a name that is reserved by Iceberg"
    if kind == "delta" and is_new:
        for path, name in _names("", schema):
            bad = "".join(sorted({c for c in name if c in _NOT_IN_DELTA}))
            if bad or not name:
                yield (
                    f"column {path!r} has {bad!r} in its name"
                    if bad
                    else f"column {path!r} has an empty name"
                )


def _names(prefix: str, found: Any) -> Iterator[tuple[str, str]]:
    if isinstance(found, T.StructType):
        for field in found:
            yield f"{prefix}{field.name}", field.name
            yield from _names(f"{prefix}{field.name}.", field.dataType)
    elif isinstance(found, T.ArrayType):
        yield from _names(prefix, found.elementType)
    elif isinstance(found, T.MapType):
        yield from _names(prefix, found.keyType)
        yield from _names(prefix, found.valueType)


def _partition_problems(entity: EntityMetadata, schema: StructType, kind: str) -> Iterator[str]:
    parts = entity.partition_columns
    if parts and kind != "iceberg" and set(parts) == set(schema.fieldNames()):
        yield "all of its columns are partition columns, so nothing is left for the files"
    for name in (name for name in parts if name in schema.fieldNames()):
        found = schema[name].dataType
        if not _makes_folders(found, kind):
            yield (
                f"partition column {name!r} is of type {found.simpleString().upper()}, which "
                + ("it cannot partition by" if kind == "iceberg" else "folder names cannot store")
            )


def _makes_folders(found: DataType, kind: str) -> bool:
    if isinstance(found, T.StringType):
        return not _is_collated(found)
    if isinstance(found, T.BinaryType):
        return kind == "iceberg"
    plain = (T.BooleanType, T.NumericType, T.DateType, T.TimestampType, T.TimestampNTZType)
    intervals = (T.DayTimeIntervalType, T.YearMonthIntervalType)
    return isinstance(found, plain) or (
        kind in ("parquet", "table") and isinstance(found, intervals)
    )
