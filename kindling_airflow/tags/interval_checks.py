"""Checks how entities are written and read by slices, when a plan is compiled.

entity_interval_problems(entity, modes)      write_mode and interval.* of an entity
pipe_interval_problems(pipe, entities)       interval.*, use_watermark, on_empty_input of a pipe
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.inputs import driving_inputs, driving_problems
from kindling_airflow.tags.intervals import (
    WRITE_MODES,
    interval_column_of,
    read_of,
    write_mode_of,
)
from kindling_airflow.tags.names import (
    COLUMN_TAG,
    LOOKBACK_TAG,
    READ_TAG,
    READ_TAGS,
    TIMEZONE_TAG,
    WRITE_MODE_TAG,
)
from kindling_airflow.tags.registry import tag_row, value_problems
from kindling_airflow.tags.storage_types import STORAGE_TYPES, provider_type_of

__all__ = ["entity_interval_problems", "pipe_interval_problems", "watermark_problems"]

_INTERVAL_TAGS = "interval."


def entity_interval_problems(
    entity: EntityMetadata, modes: Collection[str] | None
) -> Iterator[str]:
    """Yield what is wrong with an entity's ``write_mode`` and ``interval.*`` tags.

    Args:
        entity: the entity.
        modes: how its type can be written; None where that is not known here.
    """
    tags = entity.tags
    if not any(key == WRITE_MODE_TAG or key.startswith(_INTERVAL_TAGS) for key in tags):
        return  # as nearly always
    kind, mode = provider_type_of(entity), write_mode_of(entity)
    yield from _unknown(tags, (COLUMN_TAG, TIMEZONE_TAG))
    yield from value_problems("entity", tags, (WRITE_MODE_TAG, COLUMN_TAG, TIMEZONE_TAG))
    if modes == () and WRITE_MODE_TAG in tags:
        is_read_only = kind not in STORAGE_TYPES or not STORAGE_TYPES[kind].is_written
        what = "read-only" if is_read_only else "written by streams only"
        yield f"tag {WRITE_MODE_TAG}: {kind} entities are {what}\n  Fix: remove the tag."
    elif modes and mode in WRITE_MODES and mode not in modes:
        rewrites = (kind, mode) == ("parquet", "merge")
        yield (
            f"{kind} cannot be written by {mode!r}"
            + (": merging would rewrite all of its files for every run" if rewrites else "")
            + f"\n  Fix: use one of {', '.join(modes)}"
            + (", or let the pipe read its own output and write all of it." if rewrites else ".")
        )
    elif mode == "merge" and not entity.merge_columns:
        yield (
            "is written by 'merge', and has no merge_columns to identify a row\n"
            "  Fix: name the columns of the key in merge_columns."
        )
    if mode == "overwrite_interval" and not value_problems("entity", tags, (COLUMN_TAG,)):
        yield from _slice_problems(entity, kind)
    if TIMEZONE_TAG in tags and interval_column_of(entity) is None:
        yield f"tag {TIMEZONE_TAG} without {COLUMN_TAG}\n  Fix: name the column, or remove the tag."


def pipe_interval_problems(pipe: PipeMetadata, entities: DataEntityRegistry) -> list[str]:
    """Return what is wrong with what a pipe reads, by its tags and its ``use_watermark``."""
    problems = list(driving_problems(pipe))
    problems += watermark_problems(pipe, entities) if pipe.use_watermark else ()
    if any(key.startswith(_INTERVAL_TAGS) for key in pipe.tags):
        problems += [f"pipe {pipe.pipeid!r}: {text}" for text in _of_pipe(pipe, entities)]
    return problems


def watermark_problems(pipe: PipeMetadata, entities: DataEntityRegistry) -> Iterator[str]:
    """Yield why a pipe cannot read only what its driving inputs have gained."""
    driving = driving_inputs(pipe)
    for what, entity_id in (
        *(("its driving input", entity_id) for entity_id in driving),
        ("its output", pipe.output_entity_id),
    ):
        entity = entities.definition_or_default(entity_id)
        kind = provider_type_of(entity)
        mode = write_mode_of(entity)
        if kind != "parquet" or mode != "append":
            yield (
                f"pipe {pipe.pipeid!r}: use_watermark requires {what} {entity_id!r} to be parquet, "
                f"written by 'append'; it is {kind}, written by {mode!r}\n"
                f"  Fix: set the tag {WRITE_MODE_TAG}: append on the entity, or remove "
                "use_watermark: a pipe reads its slice with interval.read: slice."
            )
    if not driving:
        yield (
            f"pipe {pipe.pipeid!r}: use_watermark without an input\n  Fix: remove use_watermark."
        )
    if pipe.output_entity_id in driving:
        yield (
            f"pipe {pipe.pipeid!r}: use_watermark with its own output {pipe.output_entity_id!r} "
            "as a driving input\n  Fix: name the inputs that drive it in driving_entity_ids."
        )


def _unknown(tags: Mapping[str, Any], known: Collection[str]) -> Iterator[str]:
    for key in tags:
        if key.startswith(_INTERVAL_TAGS) and key not in known:
            yield (
                f"unknown tag {key!r}.{did_you_mean(key, known)}\n  Fix: use {', '.join(known)}."
            )


def _slice_problems(entity: EntityMetadata, kind: str) -> Iterator[str]:
    column = interval_column_of(entity)
    if column is None:
        yield (
            "is written by 'overwrite_interval', and no column assigns its rows to slices\n"
            f"  Fix: name the column: {COLUMN_TAG}: day."
        )
    elif kind == "parquet" and column not in entity.partition_columns:
        yield (
            f"is written by 'overwrite_interval', and {column!r}, which assigns its rows to "
            "slices, is not a partition column: in parquet, slices are partitions\n"
            f"  Fix: add it to partition_columns: [{column}]."
        )


def _of_pipe(pipe: PipeMetadata, entities: DataEntityRegistry) -> Iterator[str]:
    tags = pipe.tags
    each = [f"{READ_TAG}.{entity_id}" for entity_id in pipe.input_entity_ids]
    yield from _unknown(tags, (READ_TAG, LOOKBACK_TAG, *each))
    yield from value_problems("pipe", tags, (READ_TAG, LOOKBACK_TAG))
    reads = tag_row("pipe", READ_TAGS).value
    for key in tags:
        if key.startswith(READ_TAGS):
            yield from reads.problems(f"tag {key}", tags[key])
    lookback = tags.get(LOOKBACK_TAG)
    columns = {
        e: interval_column_of(entities.definition_or_default(e)) for e in pipe.input_entity_ids
    }
    sliced = {e: read_of(pipe, e) for e, column in columns.items() if column is not None}
    for key, entity_id in zip(each, pipe.input_entity_ids, strict=True):
        if tags.get(key, "all") != "all" and columns[entity_id] is None:
            yield (
                f"tag {key} is {tags[key]!r}, but {entity_id!r} has no column that "
                f"assigns its rows to slices\n  Fix: set the tag {COLUMN_TAG} on the entity."
            )
    general = tags.get(READ_TAG, "lookback" if LOOKBACK_TAG in tags else "all")
    if general != "all" and not sliced:
        yield (
            f"reads by {general!r}, but none of its inputs has slices\n"
            f"  Fix: set the tag {COLUMN_TAG} on an input, or remove the pipe's tag."
        )
    elif "lookback" in sliced.values() and lookback is None:
        yield f"reads by 'lookback' without a length\n  Fix: add the tag {LOOKBACK_TAG}: 2d."
    elif lookback is not None and "lookback" not in sliced.values():
        yield (
            f"tag {LOOKBACK_TAG} has no effect: no input is read by 'lookback'\n"
            f"  Fix: remove it, or read an input by it: {READ_TAG}: lookback."
        )
