"""Checks that an input has the declared columns: a missing one must not become nulls."""

from __future__ import annotations

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.schema.differences import (
    arranged,
    declared_schema,
    quoted,
    schema_differences,
)
from kindling_airflow.tags.names import EXTRA_COLUMNS_TAG
from kindling_airflow.tags.storage_types import STORAGE_TYPES, provider_type_of


def checked_input(entity: EntityMetadata, frame: DataFrame) -> DataFrame:
    """Return an entity's rows, with its columns in the declared order where a schema is declared.

    Columns that are not declared are an error, or left out (``provider.extra_columns: ignore``).
    Whether a column may be null is not checked: storage formats report every column as nullable.

    Raises:
        PipeRunError: the columns do not fit; lists every difference.
    """
    declared = declared_schema(entity)
    if declared is None:
        return frame
    if entity.tags.get(EXTRA_COLUMNS_TAG) == "ignore":
        wanted = {field.name for field in declared}
        frame = frame.select(*(quoted(name) for name in frame.columns if name in wanted))
    problems = schema_differences(declared, frame.schema)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        kind = STORAGE_TYPES.get(provider_type_of(entity))
        knows_tag = kind is None or EXTRA_COLUMNS_TAG in kind.tags
        can_leave_out = knows_tag and entity.tags.get(EXTRA_COLUMNS_TAG) != "ignore"
        remedy = (
            f"; extra columns can be ignored with {EXTRA_COLUMNS_TAG}: ignore"
            if can_leave_out
            else ""
        )
        raise PipeRunError(
            f"entity {entity.entityid!r}: the stored columns do not match its declared "
            f"schema\n{listed}"
            f"\n  Fix: correct the declared schema, or rewrite the entity{remedy}."
        )
    return arranged(frame, declared)
