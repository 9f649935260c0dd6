"""The type of the column by which a table is cut into intervals."""

from __future__ import annotations

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.tags.intervals import KINDS


def interval_kind(entity: EntityMetadata, frame: DataFrame, column: str) -> str:
    """Return the type of an entity's interval column, as Spark's simple string.

    Args:
        entity: the entity.
        frame: its rows, which have the column.
        column: the name of the column.

    Raises:
        PipeRunError: a column of this type has no intervals.
    """
    kind = frame.schema[column].dataType.simpleString()
    if kind not in KINDS:
        raise PipeRunError(
            f"entity {entity.entityid!r}: its interval column is {column!r}, of type "
            f"{kind.upper()}\n"
            f"  Fix: use a column of one of the types {', '.join(k.upper() for k in KINDS)}."
        )
    return kind
