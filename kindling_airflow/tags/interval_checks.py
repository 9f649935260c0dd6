"""What is wrong with how entities are written and read by slices, found when a plan is compiled.

entity_interval_problems(entity, modes)      write_mode and interval.* of an entity
pipe_interval_problems(pipe, entities)       interval.*, use_watermark, on_empty_input of a pipe
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import did_you_mean
from kindling_airflow.tags.inputs import driving_inputs, driving_problems
from kindling_airflow.tags.intervals import (
    COLUMN_TAG,
    LOOKBACK_TAG,
    READ_TAG,
    READS,
    TIMEZONE_TAG,
    WRITE_MODE_TAG,
    WRITE_MODES,
    interval_column_of,
    is_lookback,
    read_of,
    write_mode_of,
    zone_named,
)

__all__ = ["entity_interval_problems", "pipe_interval_problems", "watermark_problems"]

_INTERVAL_TAGS = "interval."


def entity_interval_problems(entity: EntityMetadata, modes: Collection[str] | None) -> list[str]:
    """Return what is wrong with an entity's ``write_mode`` and ``interval.*`` tags.

    Args:
        entity: the entity.
        modes: how its type can be written; None where that is not known here.
    """
    if not any(key == WRITE_MODE_TAG or key.startswith(_INTERVAL_TAGS) for key in entity.tags):
        return []  # as nearly always
    return [f"entity {entity.entityid!r}: {text}" for text in _of_entity(entity, modes)]


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
        kind = str(entity.tags.get("provider_type", "parquet"))
        mode = write_mode_of(entity)
        if kind != "parquet" or mode != "append":
            yield (
                f"pipe {pipe.pipeid!r}: use_watermark wants {what} {entity_id!r} to be parquet "
                f"that is written by 'append'; it is {kind}, written by {mode!r}\n"
                f"  Fix: give the entity the tag {WRITE_MODE_TAG}: append, or take use_watermark "
                "out: a pipe reads its slice with interval.read: slice."
            )
    if not driving:
        yield (
            f"pipe {pipe.pipeid!r}: use_watermark without an input\n  Fix: take use_watermark out."
        )
    if pipe.output_entity_id in driving:
        yield (
            f"pipe {pipe.pipeid!r}: use_watermark with its own output {pipe.output_entity_id!r} "
            "as a driving input\n  Fix: name the inputs that drive it in driving_entity_ids."
        )


def _of_entity(entity: EntityMetadata, modes: Collection[str] | None) -> Iterator[str]:
    tags = entity.tags
    known = (COLUMN_TAG, TIMEZONE_TAG)
    for key in tags:
        if key.startswith(_INTERVAL_TAGS) and key not in known:
            yield f"unknown tag {key!r}.{did_you_mean(key, known)}\n  Fix: use {_listed(known)}."
    mode = tags.get(WRITE_MODE_TAG, "overwrite")
    kind = str(tags.get("provider_type", "parquet"))
    if mode not in WRITE_MODES:
        yield (
            f"tag {WRITE_MODE_TAG} is {mode!r}.{did_you_mean(str(mode), WRITE_MODES)}\n"
            f"  Fix: use one of {_listed(WRITE_MODES)}."
        )
    elif modes == () and WRITE_MODE_TAG in tags:
        what = "written by streams alone" if kind == "kafka" else "read, not written"
        yield f"tag {WRITE_MODE_TAG}: {kind} entities are {what}\n  Fix: take it out."
    elif modes and mode not in modes:
        reason = (
            ": merging would rewrite all of its files for every run"
            if (kind, mode) == ("parquet", "merge")
            else ""
        )
        yield (
            f"{kind} cannot be written by {mode!r}{reason}\n"
            f"  Fix: use one of {_listed(modes)}"
            + (", or let the pipe read its own output and write it whole." if reason else ".")
        )
    elif mode == "merge" and not entity.merge_columns:
        yield (
            "is written by 'merge', and nothing says which rows are the same\n"
            "  Fix: name the columns of the key in merge_columns."
        )
    column = tags.get(COLUMN_TAG)
    if column is not None and not (isinstance(column, str) and column.strip()):
        yield f"tag {COLUMN_TAG} is {column!r}\n  Fix: write the name of a column."
    elif mode == "overwrite_interval":
        yield from _slice_problems(entity, kind)
    zone = tags.get(TIMEZONE_TAG, "UTC")
    try:
        zone_named(str(zone))
    except ValueError:
        yield (
            f"tag {TIMEZONE_TAG} is {zone!r}, which is no time zone\n"
            "  Fix: write it like 'Europe/Zurich', or 'UTC'."
        )
    if TIMEZONE_TAG in tags and interval_column_of(entity) is None:
        yield f"tag {TIMEZONE_TAG} without {COLUMN_TAG}\n  Fix: name the column, or take it out."


def _slice_problems(entity: EntityMetadata, kind: str) -> Iterator[str]:
    column = interval_column_of(entity)
    if column is None:
        yield (
            "is written by 'overwrite_interval', and nothing says in which slice a row lies\n"
            f"  Fix: name the column: {COLUMN_TAG}: day."
        )
    elif kind == "parquet" and column not in entity.partition_columns:
        yield (
            f"is written by 'overwrite_interval', and its slices are found by {column!r}, which is "
            "no partition column: in parquet, slices are partitions\n"
            f"  Fix: add it to partition_columns: [{column}]."
        )


def _of_pipe(pipe: PipeMetadata, entities: DataEntityRegistry) -> Iterator[str]:
    tags = pipe.tags
    each = [f"{READ_TAG}.{entity_id}" for entity_id in pipe.input_entity_ids]
    known = (READ_TAG, LOOKBACK_TAG, *each)
    for key in tags:
        if key.startswith(_INTERVAL_TAGS) and key not in known:
            yield f"unknown tag {key!r}.{did_you_mean(key, known)}\n  Fix: use {_listed(known)}."
        elif key.startswith(READ_TAG) and tags[key] not in READS:
            yield f"tag {key} is {tags[key]!r}\n  Fix: use one of {_listed(READS)}."
    lookback = tags.get(LOOKBACK_TAG)
    if lookback is not None and not is_lookback(lookback):
        yield (
            f"tag {LOOKBACK_TAG} is {lookback!r}\n"
            "  Fix: write a number of minutes, hours, days or weeks: 90m, 6h, 2d, 1w."
        )
    columns = {
        e: interval_column_of(entities.definition_or_default(e)) for e in pipe.input_entity_ids
    }
    sliced = {e: read_of(pipe, e) for e, column in columns.items() if column is not None}
    for key, entity_id in zip(each, pipe.input_entity_ids, strict=True):
        if tags.get(key, "all") != "all" and columns[entity_id] is None:
            yield (
                f"tag {key} is {tags[key]!r}, but nothing says in which slice a row of "
                f"{entity_id!r} lies\n  Fix: give the entity the tag {COLUMN_TAG}."
            )
    general = tags.get(READ_TAG, "lookback" if LOOKBACK_TAG in tags else "all")
    if general != "all" and not sliced:
        yield (
            f"reads by {general!r}, but none of its inputs has slices\n"
            f"  Fix: give an input the tag {COLUMN_TAG}, or take the pipe's tag out."
        )
    elif "lookback" in sliced.values() and lookback is None:
        yield f"nothing says how far it looks back\n  Fix: add the tag {LOOKBACK_TAG}: 2d."
    elif lookback is not None and "lookback" not in sliced.values():
        yield (
            f"tag {LOOKBACK_TAG} has no effect: no input is read by 'lookback'\n"
            f"  Fix: take it out, or read an input so: {READ_TAG}: lookback."
        )


def _listed(names: Collection[str]) -> str:
    return ", ".join(names)
