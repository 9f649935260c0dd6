"""Two schemas, and what is different between them, column by column, as deep as they go.

a.b      field b of the struct a
a[]      the elements of the array a
a{key}   the keys of the map a, and a{value} its values
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from typing import Any, cast

from pyspark.sql import Column, DataFrame, SparkSession
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

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, did_you_mean

_CODED = re.compile(r"\[[A-Z_.0-9]+\]")
_LONGEST_SENTENCE = 300


def declared_schema(entity: EntityMetadata, spark: SparkSession) -> StructType | None:
    """Return an entity's declared schema, or None where it declares none.

    ``CHAR`` and ``VARCHAR`` are ``STRING`` in it, which is what rows have in their place.

    Raises:
        DeclarationError: it is not valid Spark DDL.
    """
    declared = declared_lengths(entity)
    if declared is None:
        return None
    del spark  # its grammar is that of the process
    plain: StructType = _without_lengths(declared)
    return plain


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

    Returns:
        None where no length is declared.
    """
    if isinstance(declared, (CharType, VarcharType)):
        return F.char_length(column) > declared.length
    if isinstance(declared, StructType):
        found = [too_long(column.getField(f.name), f.dataType) for f in declared]
    elif isinstance(declared, ArrayType):
        found = [_any_too_long(column, declared.elementType)]
    elif isinstance(declared, MapType):
        found = [
            _any_too_long(F.map_keys(column), declared.keyType),
            _any_too_long(F.map_values(column), declared.valueType),
        ]
    else:
        return None
    wrong = [condition for condition in found if condition is not None]
    return reduce(lambda a, b: a | b, wrong) if wrong else None


def _any_too_long(column: Column, declared: DataType) -> Column | None:
    if too_long(F.lit(None), declared) is None:
        return None

    def wrong(element: Column) -> Column:
        return cast("Column", too_long(element, declared))

    return F.exists(column, wrong)


def _without_lengths(declared: Any) -> Any:
    """Return a type with ``STRING`` for its texts of some length."""
    if isinstance(declared, (CharType, VarcharType)):
        return StringType()
    if isinstance(declared, StructType):
        return StructType(
            [
                StructField(f.name, _without_lengths(f.dataType), f.nullable, f.metadata)
                for f in declared
            ]
        )
    if isinstance(declared, ArrayType):
        return ArrayType(_without_lengths(declared.elementType), declared.containsNull)
    if isinstance(declared, MapType):
        key, value = _without_lengths(declared.keyType), _without_lengths(declared.valueType)
        return MapType(key, value, declared.valueContainsNull)
    return declared


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


def nulls_in(column: Column, declared: DataType) -> Column | None:
    """Return whether a value has a null in a field that is declared ``NOT NULL``.

    Returns:
        None where no field of it is declared so.
    """
    if isinstance(declared, StructType):
        found = [nulls_at(column.getField(f.name), f.dataType, f.nullable) for f in declared]
        wrong = [condition for condition in found if condition is not None]
        return reduce(lambda a, b: a | b, wrong) if wrong else None
    if isinstance(declared, ArrayType):
        return _in_elements(column, declared.elementType)
    if isinstance(declared, MapType):
        return _in_elements(F.map_values(column), declared.valueType)
    return None


def nulls_at(column: Column, declared: DataType, nullable: bool) -> Column | None:
    """Return whether a value is null, or has a null in it, where that is declared otherwise."""
    inside = nulls_in(column, declared)
    if nullable:
        return None if inside is None else column.isNotNull() & inside
    return column.isNull() if inside is None else column.isNull() | inside


def _in_elements(column: Column, declared: DataType) -> Column | None:

    def wrong(element: Column) -> Column:
        found = nulls_at(element, declared, nullable=True)
        return F.lit(False) if found is None else found

    promised = nulls_at(F.lit(None), declared, nullable=True) is not None
    return F.exists(column, wrong) if promised else None


def nullable(declared: Any) -> Any:
    """Return a type in which everything may be null."""
    if isinstance(declared, StructType):
        return StructType([StructField(f.name, nullable(f.dataType)) for f in declared])
    if isinstance(declared, ArrayType):
        return ArrayType(nullable(declared.elementType))
    if isinstance(declared, MapType):
        return MapType(nullable(declared.keyType), nullable(declared.valueType))
    return declared


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
