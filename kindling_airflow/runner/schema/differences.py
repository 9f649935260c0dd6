"""Two schemas, and what is different between them, column by column, as deep as they go.

a.b      field b of the struct a
a[]      the elements of the array a
a{key}   the keys of the map a, and a{value} its values
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_
from typing import Any, cast

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    CharType,
    DataType,
    MapType,
    StringType,
    StructField,
    StructType,
    VarcharType,
)

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError

_CODED = re.compile(r"\[[A-Z_.0-9]+\]")
_LONGEST_SENTENCE = 300


def declared_schema(entity: EntityMetadata) -> StructType | None:
    """Return an entity's declared schema, or None where it declares none.

    ``CHAR`` and ``VARCHAR`` are ``STRING`` in it, as in the rows.

    Raises:
        DeclarationError: it is not valid Spark DDL.
    """
    declared = declared_lengths(entity)
    return None if declared is None else cast("StructType", _rebuilt(declared, is_loose=False))


def declared_lengths(entity: EntityMetadata) -> StructType | None:
    """Return an entity's declared schema with the lengths of its texts, or None without a schema.

    Raises:
        DeclarationError: as :func:`declared_schema`.
    """
    if entity.schema is None:
        return None
    try:
        found = DataType.fromDDL(entity.schema)
    except Exception as error:
        problem = (
            f"entity {entity.entityid!r}: its schema {entity.schema!r} is not valid Spark DDL: "
            f"{_first_sentence(error)}\n"
            "  Fix: write it like 'id BIGINT, name STRING'."
        )
        raise DeclarationError([problem]) from error
    return found if isinstance(found, StructType) else StructType().add("value", found)


def too_long(column: Column, declared: DataType) -> Column | None:
    """Return whether a text is longer than declared, or has such a text in it.

    None where no length is declared.
    """
    if isinstance(declared, (CharType, VarcharType)):
        return F.char_length(column) > declared.length
    found: list[Column | None] = []
    if isinstance(declared, StructType):
        found = [too_long(column.getField(f.name), f.dataType) for f in declared]
    elif isinstance(declared, ArrayType):
        found = [_in_elements(column, declared.elementType, too_long)]
    elif isinstance(declared, MapType):
        found = [
            _in_elements(F.map_keys(column), declared.keyType, too_long),
            _in_elements(F.map_values(column), declared.valueType, too_long),
        ]
    return _any_of(found)


def nulls_at(column: Column, declared: DataType, nullable: bool = True) -> Column | None:
    """Return whether a value is null, or has a null in it, where that is declared otherwise.

    None where nothing is declared ``NOT NULL``.
    """
    inside: Column | None = None
    if isinstance(declared, StructType):
        fields = ((column.getField(f.name), f.dataType, f.nullable) for f in declared)
        inside = _any_of([nulls_at(*field) for field in fields])
    elif isinstance(declared, ArrayType):
        inside = _in_elements(column, declared.elementType, nulls_at)
    elif isinstance(declared, MapType):
        inside = _in_elements(F.map_values(column), declared.valueType, nulls_at)
    if nullable:
        return None if inside is None else column.isNotNull() & inside
    return column.isNull() if inside is None else column.isNull() | inside


def _any_of(conditions: list[Column | None]) -> Column | None:
    found = [condition for condition in conditions if condition is not None]
    return reduce(or_, found) if found else None


def _in_elements(
    column: Column, declared: DataType, wrong: Callable[[Column, DataType], Column | None]
) -> Column | None:
    """Return whether an element of an array is wrong; None where none can be."""
    if wrong(F.lit(None), declared) is None:
        return None
    return F.exists(column, lambda element: cast("Column", wrong(element, declared)))


def nullable(declared: Any) -> Any:
    """Return a type in which everything may be null."""
    return _rebuilt(declared, is_loose=True)


def _rebuilt(kind: DataType, *, is_loose: bool) -> DataType:
    """Return a type with ``STRING`` for texts of limited length; a loose one allows any null."""

    def inner(child: DataType) -> DataType:
        return _rebuilt(child, is_loose=is_loose)

    if isinstance(kind, (CharType, VarcharType)):
        return kind if is_loose else StringType()
    if isinstance(kind, StructType):
        return StructType(
            [
                StructField(f.name, inner(f.dataType))
                if is_loose
                else StructField(f.name, inner(f.dataType), f.nullable, f.metadata)
                for f in kind
            ]
        )
    if isinstance(kind, ArrayType):
        return ArrayType(inner(kind.elementType), is_loose or kind.containsNull)
    if isinstance(kind, MapType):
        has_nulls = is_loose or kind.valueContainsNull
        return MapType(inner(kind.keyType), inner(kind.valueType), has_nulls)
    return kind


def _first_sentence(error: Exception) -> str:
    """Return an error's message without Java's stack."""
    lines = [line.strip(" :") for line in str(error).splitlines() if line.strip(" :")]
    coded = [line for line in lines if _CODED.search(line)]
    return (coded or lines or [type(error).__name__])[0][:_LONGEST_SENTENCE]


def quoted(name: str) -> str:
    """Return a column's name as Spark takes it literally."""
    return "`" + name.replace("`", "``") + "`"


def sql_type(kind: DataType) -> str:
    """Return a type as SQL takes it, with the names of its fields quoted.

    PySpark's own ``simpleString`` quotes none, so that a field ``a b`` is a syntax error.
    """
    if isinstance(kind, ArrayType):
        return f"ARRAY<{sql_type(kind.elementType)}>"
    if isinstance(kind, MapType):
        return f"MAP<{sql_type(kind.keyType)}, {sql_type(kind.valueType)}>"
    if isinstance(kind, StructType):
        fields = ", ".join(f"{quoted(field.name)}: {sql_type(field.dataType)}" for field in kind)
        return f"STRUCT<{fields}>"
    return kind.simpleString()


def schema_differences(declared: StructType, actual: StructType) -> list[str]:
    """Return how a schema differs from the declared one: one sentence each.

    In the order of the declaration, then what is not declared. The order of columns and
    their nullability do not count.
    """
    return list(_of_structs("", declared, actual))


def arranged(frame: DataFrame, declared: StructType) -> DataFrame:
    """Return rows without differences with all columns and fields in the declared order."""
    return frame.to(nullable(declared))


def _of_structs(prefix: str, declared: StructType, actual: StructType) -> Iterator[str]:
    wanted = {field.name: field.dataType for field in declared}
    found = {field.name: field.dataType for field in actual}
    spellings = {name.casefold(): name for name in found if name not in wanted}
    respelled = set()
    for name, kind in wanted.items():
        path = f"{prefix}{name}"
        if name in found:
            yield from _of_types(path, kind, found[name])
        elif name.casefold() in spellings:
            other = spellings[name.casefold()]
            respelled.add(other)
            yield f"column {path!r} is spelled {other!r}"
            yield from _of_types(path, kind, found[other])
        else:
            yield f"column {path!r} ({kind.simpleString()}) is missing"
    absent = [name for name in wanted if name not in found]
    for name, kind in found.items():
        if name not in wanted and name not in respelled:
            hint = did_you_mean(name, absent)
            text = f"column {f'{prefix}{name}'!r} ({kind.simpleString()}) is not declared"
            yield f"{text}.{hint}" if hint else text


def _of_types(path: str, declared: DataType, actual: DataType) -> Iterator[str]:
    if isinstance(declared, StructType) and isinstance(actual, StructType):
        yield from _of_structs(f"{path}.", declared, actual)
    elif isinstance(declared, ArrayType) and isinstance(actual, ArrayType):
        yield from _of_types(f"{path}[]", declared.elementType, actual.elementType)
    elif isinstance(declared, MapType) and isinstance(actual, MapType):
        yield from _of_types(f"{path}{{key}}", declared.keyType, actual.keyType)
        yield from _of_types(f"{path}{{value}}", declared.valueType, actual.valueType)
    elif declared.simpleString() != actual.simpleString():
        yield f"column {path!r} is {actual.simpleString()}, declared as {declared.simpleString()}"
