"""Checks that the columns which declarations name are columns of the declared schemas.

schema_problems(entity)                  its DDL, and what is partitioned, merged and sliced by
pipe_column_problems(pipe, entities)     what its expectations and its watermark are about
declared_columns(entities)               what a query can find in each of them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.ddl import read_ddl
from kindling_airflow.tags.names import COLUMN_TAG, WATERMARK_TAG
from kindling_airflow.tags.storage_types import storage_type_of
from kindling_airflow.tags.stream_settings import is_stream

__all__ = ["declared_columns", "pipe_column_problems", "schema_problems"]


def schema_problems(entity: EntityMetadata) -> list[str]:
    """Return what is wrong with an entity's declared schema, and with columns that it lacks."""
    if entity.schema is None:
        return []
    where = f"entity {entity.entityid!r}"
    declared = read_ddl(entity.schema)
    problems = [
        f"{where}: its schema {entity.schema!r} is not valid Spark DDL: {problem}\n"
        "  Fix: write it like 'id BIGINT NOT NULL, name STRING'."
        for problem in declared.problems
    ]
    if problems or not _has_all_columns(entity):
        return problems
    named = {
        "partition_columns": entity.partition_columns,
        "merge_columns": entity.merge_columns,
        "cluster_columns": entity.cluster_columns,
        f"tag {COLUMN_TAG}": (entity.tags.get(COLUMN_TAG),),
    }
    for what, columns in named.items():
        exact = what == "partition_columns"
        unknown = _unknown(columns, declared.columns, exact=exact)
        problems += [f"{where}: {what} names {text}" for text in unknown]
    return problems


def pipe_column_problems(pipe: PipeMetadata, entities: DataEntityRegistry) -> Iterator[str]:
    """Yield the columns of expectations and of a watermark that a declared schema lacks."""
    if pipe.expectations:
        output = entities.definition_or_default(pipe.output_entity_id)
        for expected in pipe.expectations:
            for text in _unknown(expected.columns, _columns_of(output), entity=output.entityid):
                yield f"pipe {pipe.pipeid!r}: expectation {expected.name!r} uses {text}"
    watermark = pipe.tags.get(WATERMARK_TAG)
    if isinstance(watermark, str) and watermark.split() and is_stream(pipe.tags):
        for entity_id in pipe.input_entity_ids[:1]:
            driving = entities.definition_or_default(entity_id)
            column = watermark.split()[0].strip("`")
            for text in _unknown((column,), _columns_of(driving), entity=entity_id):
                yield f"pipe {pipe.pipeid!r}: tag {WATERMARK_TAG} names {text}"


def declared_columns(entities: DataEntityRegistry) -> Callable[[str], tuple[str, ...] | None]:
    """Return a function from an entity's id to its columns, None where these are not certain."""
    return lambda entity_id: _columns_of(entities.definition_or_default(entity_id))


def _has_all_columns(entity: EntityMetadata) -> bool:
    """Return whether an entity has no columns but the declared ones."""
    known = storage_type_of(entity)
    return known is not None and not known.has_other_columns


def _columns_of(entity: EntityMetadata) -> tuple[str, ...] | None:
    """Return the columns that an entity has for certain; None where these are not known."""
    if entity.schema is None or not _has_all_columns(entity):
        return None
    declared = read_ddl(entity.schema)
    return None if declared.problems else declared.columns


def _unknown(
    named: Iterable[object],
    declared: tuple[str, ...] | None,
    *,
    entity: str | None = None,
    exact: bool = False,
) -> Iterator[str]:
    """Yield the columns that are not declared; a field of a struct counts by its first part.

    Args:
        named: names of columns; what is not text is checked elsewhere.
        declared: the declared columns; None where these are not known.
        entity: whose they are, where that needs to be mentioned.
        exact: whether upper and lower case differ.
    """
    if declared is None:
        return
    folded = {name.casefold(): name for name in declared}
    known = {*declared} if exact else {*folded}
    for name in named:
        if not isinstance(name, str):
            continue
        own = name if exact else name.casefold()
        if own in known or (not exact and own.partition(".")[0] in known):
            continue
        whose = "its declared schema" if entity is None else f"the declared schema of {entity!r}"
        hint = did_you_mean(name.casefold(), folded)
        for other, spelled in folded.items():
            hint = hint.replace(repr(other), repr(spelled))
        yield (
            f"{name!r}, which is not a column of {whose}.{hint}\n"
            "  Fix: correct the name, or add the column to the schema."
        )
