"""A declared schema as text: a DDL string as it is, a ``StructType`` of pyspark in DDL.

Declarations are stored as text, and must import without pyspark, so the type is read by what it
offers, never by its class.
"""

from __future__ import annotations

from typing import Any


def is_struct(schema: Any) -> bool:
    """Return whether this is a ``StructType``, the class itself left out."""
    return not isinstance(schema, type) and _kind(schema) == "struct"


def schema_text(schema: Any) -> Any:
    """Return a ``StructType`` as a DDL string, and everything else as it is.

    Names, types, NOT NULL and comments are kept, in nested types too. What DDL cannot say is lost:
    that a list or a map holds no nulls, and metadata other than comments.
    """
    return (
        ", ".join(_column(field, " ") for field in schema.fields) if is_struct(schema) else schema
    )


def _kind(data_type: Any) -> str:
    name = getattr(data_type, "typeName", None)
    return str(name()) if callable(name) else ""


def _column(field: Any, between: str) -> str:
    name = "`" + str(field.name).replace("`", "``") + "`"
    found = f"{name}{between}{_type(field.dataType)}"
    if not field.nullable:
        found += " NOT NULL"
    comment = (field.metadata or {}).get("comment")
    if comment:
        escaped = str(comment).replace("\\", "\\\\").replace("'", "\\'")
        found += f" COMMENT '{escaped}'"
    return found


def _type(data_type: Any) -> str:
    kind = _kind(data_type)
    if kind == "struct":
        inner = ", ".join(_column(field, ": ") for field in data_type.fields)
        return f"STRUCT<{inner}>"
    if kind == "array":
        return f"ARRAY<{_type(data_type.elementType)}>"
    if kind == "map":
        return f"MAP<{_type(data_type.keyType)}, {_type(data_type.valueType)}>"
    return str(data_type.simpleString()).upper()
