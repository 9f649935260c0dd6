"""Finds keys of JSON objects that are spelled in another case than the declared column.

Spark's columns know no case, and its JSON reader does: it leaves ``ID`` out where ``id`` is
declared, and makes a null of the column. It is looked for where a value is null: a declared key
that is not there, beside one that differs from it by case alone.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructField, StructType


def respelled_key(text: Column, value: Column, declared: StructType) -> Column:
    """Return the first key that is a declared one in other case, as deep as structs go; or null."""
    names = [field.name for field in declared]
    keys = F.json_object_keys(text)
    absent = F.filter(F.array(*map(F.lit, names)), lambda name: ~F.array_contains(keys, name))
    known = F.transform(absent, F.lower)
    respelled = F.filter(keys, lambda key: ~key.isin(names) & F.array_contains(known, F.lower(key)))
    has_null = F.lit(False)
    for name in names:
        has_null = has_null | value.getField(name).isNull()
    found = [F.when(has_null, F.get(respelled, 0))]
    for field in declared:
        if _has_struct(field.dataType):
            inner = _member(text, field.name)
            found.append(_inside(inner, value.getField(field.name), field.dataType))
    return F.coalesce(*found)


def _inside(text: Column, value: Column, kind: DataType) -> Column:
    """Return the first such key in a value that may be null."""
    if isinstance(kind, StructType):
        return F.when(value.isNotNull(), respelled_key(text, value, kind))
    if isinstance(kind, ArrayType):
        texts, values, inner = F.from_json(text, "ARRAY<STRING>"), value, kind.elementType
    elif isinstance(kind, MapType):
        texts = F.map_values(F.from_json(text, "MAP<STRING, STRING>"))
        values, inner = F.map_values(value), kind.valueType
    else:
        return F.lit(None).cast("string")
    each = F.zip_with(texts, values, lambda part, item: _inside(part, item, inner))
    return F.when(value.isNotNull(), F.get(F.filter(each, lambda key: key.isNotNull()), 0))


def _member(text: Column, name: str) -> Column:
    """Return the JSON text of an object's member."""
    return F.from_json(text, StructType([StructField(name, StringType())])).getField(name)


def _has_struct(kind: DataType) -> bool:
    if isinstance(kind, ArrayType):
        return _has_struct(kind.elementType)
    if isinstance(kind, MapType):
        return _has_struct(kind.valueType)
    return isinstance(kind, StructType)
