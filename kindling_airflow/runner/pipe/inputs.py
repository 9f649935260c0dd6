"""Reads the inputs of one run of a pipe: whole, a slice, or new rows of its driving input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata, argument_name
from kindling_airflow.errors import DeclarationError, EntityError, PipeRunError
from kindling_airflow.protocol.contracts import InputReport
from kindling_airflow.runner.providers.interface import (
    EntityProvider,
    Peeks,
    ProviderContext,
    ReadsGains,
    SetsAside,
)
from kindling_airflow.runner.providers.lookup import provider_for, read_counted
from kindling_airflow.runner.schema.differences import declared_schema
from kindling_airflow.runner.schema.input_check import checked_input
from kindling_airflow.runner.schema.interval_column import interval_kind
from kindling_airflow.tags.inputs import driving_inputs, skips_empty
from kindling_airflow.tags.interval_checks import pipe_interval_problems
from kindling_airflow.tags.intervals import IntervalSlice, lookback_of, read_of, slice_of
from kindling_airflow.tags.names import ON_EMPTY_TAG

ReadInput = Callable[
    [PipeMetadata, EntityMetadata, EntityProvider, IntervalSlice | None],
    "tuple[DataFrame, int | None]",
]


@dataclass(frozen=True, slots=True)
class RunPart:
    """Which part of the data is a run's own.

    Attributes:
        interval: its data interval; None if it has none.
        instance: names the task instance.
    """

    interval: tuple[datetime, datetime] | None
    instance: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was read, or why there is nothing to do.

    Attributes:
        frames: the rows, by the names under which the pipe gets them.
        reports: what was read, for the report.
        idle: why there is nothing to do; or "".
        slices: by entity, which slice was read, human-readable.
        taken: by entity, what was gained.
        missing: by entity, where what is missing should be.
        notes: on what was read, for the report.
    """

    frames: Mapping[str, DataFrame]
    reports: tuple[InputReport, ...]
    idle: str = ""
    slices: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    taken: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY)
    missing: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    notes: tuple[str, ...] = ()


def slice_read(
    pipe: PipeMetadata, entity: EntityMetadata, interval: tuple[datetime, datetime] | None
) -> IntervalSlice | None:
    """Return which slice of an input a run reads; None if it reads everything."""
    how = read_of(pipe, entity.entityid)
    part = None if interval is None or how == "all" else slice_of(entity, *interval)
    return part if part is None or how == "slice" else part.reaching_back(lookback_of(pipe))


def read_entity(
    _pipe: PipeMetadata,
    entity: EntityMetadata,
    provider: EntityProvider,
    part: IntervalSlice | None = None,
) -> tuple[DataFrame, int | None]:
    """Return an input's rows, or those of a slice, and their number where counting is cheap."""
    if part is None:
        return read_counted(entity, provider)
    frame = checked_input(entity, provider.read(entity))
    if not frame.columns:  # of empty files
        return frame, None
    if part.column not in frame.columns:
        raise PipeRunError(
            f"entity {entity.entityid!r} has no column {part.column!r}, which the tag "
            "interval.column names\n  Fix: correct its tag interval.column."
        )
    kind = interval_kind(entity, frame, part.column)
    rows = frame.where(part.condition(kind))
    is_folder = part.column in entity.partition_columns
    return rows, rows.count() if is_folder else None


def read_inputs(
    pipe: PipeMetadata,
    entities: DataEntityRegistry,
    context: ProviderContext,
    read: ReadInput,
    run: RunPart,
) -> Inputs:
    """Read every input; where one that drives the pipe is missing there is nothing to do.

    Nor is there where all that drive it have gained nothing, or are empty and the pipe is declared
    to skip empty inputs.

    Raises:
        DeclarationError: how the pipe reads them cannot be.
        EntityError: an input that does not drive is missing, or one has no columns.
    """
    problems = pipe_interval_problems(pipe, entities)
    if problems:
        raise DeclarationError(problems)
    driving = driving_inputs(pipe)
    output = entities.definition_or_default(pipe.output_entity_id)
    inputs = [entities.definition_or_default(entity_id) for entity_id in pipe.input_entity_ids]
    providers = {entity.entityid: provider_for(entity, context) for entity in inputs}
    missing = {
        entity.entityid: providers[entity.entityid].describe(entity).location
        for entity in inputs
        if not providers[entity.entityid].exists(entity)
    }
    waits = [e for e in driving if e in missing and e != pipe.output_entity_id]
    if waits:
        texts = (f"{e!r} does not exist yet at {missing[e]!r}" for e in waits)
        return Inputs({}, (), "; ".join(texts), missing=missing)
    _refuse_missing(pipe, output, missing)
    frames: dict[str, DataFrame] = {}
    reports: list[InputReport] = []
    slices: dict[str, str] = {}
    taken: dict[str, tuple[str, ...]] = {}
    idle: list[str] = []
    notes: list[str] = []
    unknown: list[str] = []
    for entity in inputs:
        entity_id = entity.entityid
        if entity_id in missing:
            frames[argument_name(entity_id)] = _no_rows_yet(context.spark, entity)
            continue
        provider, drives = providers[entity_id], entity_id in driving
        nothing = ""
        if pipe.use_watermark and drives and isinstance(provider, ReadsGains):
            frame, rows, taken[entity_id] = _read_gained(entity, output, provider, run.instance)
            nothing = "has no new rows" if rows == 0 else ""
        else:
            part, skips = slice_read(pipe, entity, run.interval), drives and skips_empty(pipe)
            if part is not None:
                slices[entity_id] = str(part)
            found = _read_with_columns(pipe, entity, provider, read, part)
            if found is None:
                unknown.append(_no_columns_text(pipe, entity_id))
                idle += [f"{entity_id!r} has no rows"] if skips else []
                continue
            frame, rows = found
            if skips and _is_empty(entity, provider, frame, rows, is_slice=part is not None):
                nothing = "has no rows" + ("" if part is None else f" with {part}")
        if nothing:
            idle.append(f"{entity_id!r} {nothing}")
        reports.append(InputReport(entity_id, rows))
        notes += _set_aside(entity, provider, run.instance)
        frames[argument_name(entity_id)] = frame
    if driving and len(idle) == len(driving):
        return Inputs(frames, tuple(reports), "; ".join(idle), slices, notes=tuple(notes))
    if unknown:
        raise EntityError("\n".join(unknown))
    return Inputs(frames, tuple(reports), "", slices, taken, notes=tuple(notes))


def _set_aside(entity: EntityMetadata, provider: EntityProvider, instance: str) -> list[str]:
    """Keep records aside that are left out, and return the notes of it."""
    note = provider.set_aside(entity, instance) if isinstance(provider, SetsAside) else ""
    return [note] if note else []


def _refuse_missing(pipe: PipeMetadata, output: EntityMetadata, missing: Mapping[str, str]) -> None:
    """Raise if an input is missing other than the pipe's own output, whose columns are declared."""
    begins = output.schema is not None
    gone = [e for e in missing if not (begins and e == output.entityid)]
    if gone:
        raise EntityError("\n".join(_missing_text(pipe, e, missing[e]) for e in gone))


def _read_with_columns(
    pipe: PipeMetadata,
    entity: EntityMetadata,
    provider: EntityProvider,
    read: ReadInput,
    part: IntervalSlice | None,
) -> tuple[DataFrame, int | None] | None:
    """Return an input's rows; None where not even its columns are known."""
    try:
        frame, rows = read(pipe, entity, provider, part)
    except AnalysisException as error:
        if error.getCondition() == "UNABLE_TO_INFER_SCHEMA":  # a folder without a file
            return None
        raise
    return (frame, rows) if frame.columns else None


def _is_empty(
    entity: EntityMetadata,
    provider: EntityProvider,
    frame: DataFrame,
    rows: int | None,
    *,
    is_slice: bool,
) -> bool:
    if rows is not None:
        return rows == 0
    if not is_slice and isinstance(provider, Peeks) and provider.surely_has_rows(entity, frame):
        return False
    return frame.isEmpty()


def _read_gained(
    entity: EntityMetadata,
    output: EntityMetadata,
    provider: ReadsGains,
    instance: str,
) -> tuple[DataFrame, int | None, tuple[str, ...]]:
    gained = provider.read_gained(entity, output, instance)
    frame = checked_input(entity, gained.frame)
    return frame, frame.count(), gained.names


def _no_rows_yet(spark: SparkSession, entity: EntityMetadata) -> DataFrame:
    """Return the prior state of a pipe that reads its own output, before its first run."""
    return spark.createDataFrame([], declared_schema(entity) or "")


def _no_columns_text(pipe: PipeMetadata, entity_id: str) -> str:
    return (
        f"pipe {pipe.pipeid!r}: input {entity_id!r} exists, but its columns are unknown: it has no "
        "files, or only empty ones, and no declared schema\n"
        f"  Fix: declare the entity's schema, or have the pipe skipped ({ON_EMPTY_TAG}: skip)."
    )


def _missing_text(pipe: PipeMetadata, entity_id: str, location: str) -> str:
    remedy = (
        "  Fix: declare the entity's schema, so that the first run can start from an empty table."
        if entity_id == pipe.output_entity_id
        else "  Fix: run the pipe that writes it first, or correct the entity's provider.path."
    )
    return f"pipe {pipe.pipeid!r}: input {entity_id!r} does not exist at {location!r}\n{remedy}"
