"""What a pipe reads in one run: everything, a slice, or what its driving input has gained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kindling_airflow.contracts import InputReport
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata, argument_name
from kindling_airflow.errors import DeclarationError, EntityError, PipeRunError
from kindling_airflow.frozen import EMPTY
from kindling_airflow.interval_checks import pipe_interval_problems
from kindling_airflow.intervals import KINDS, IntervalSlice, lookback_of, read_of, slice_of
from kindling_airflow.runner.entities import provider_for, read_counted
from kindling_airflow.runner.input_check import checked_input
from kindling_airflow.runner.providers.interface import (
    EntityProvider,
    Peeks,
    ProviderContext,
    ReadsGains,
)
from kindling_airflow.runner.schema_difference import declared_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Inputs", "ReadInput", "RunPart", "read_entity", "read_inputs", "slice_read"]

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
        slices: by entity, which slice was read, for people.
        taken: by entity, what was gained.
    """

    frames: Mapping[str, DataFrame]
    reports: tuple[InputReport, ...]
    idle: str = ""
    slices: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    taken: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: EMPTY)


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
    if part.column not in frame.columns:
        raise PipeRunError(
            f"entity {entity.entityid!r} has no column {part.column!r}, by which its slices are "
            "found\n  Fix: correct its tag interval.column."
        )
    kind = frame.schema[part.column].dataType.simpleString()
    if kind not in KINDS:
        raise PipeRunError(
            f"entity {entity.entityid!r}: its slices are found by {part.column!r}, of type "
            f"{kind.upper()}\n  Fix: use a column of one of the types "
            f"{', '.join(k.upper() for k in KINDS)}."
        )
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
    """Read every input; without driving rows there is nothing to do.

    Args:
        pipe: the pipe.
        entities: all entities.
        context: what providers are made with.
        read: reads an input that exists.
        run: which part is the run's.

    Raises:
        DeclarationError: how the pipe reads them cannot be.
        EntityError: an input that does not drive is missing, or one of several that do.
    """
    problems = pipe_interval_problems(pipe, entities)
    if problems:
        raise DeclarationError(problems)
    driving = pipe.driving_entity_ids or pipe.input_entity_ids[:1]
    output = entities.definition_or_default(pipe.output_entity_id)
    frames: dict[str, DataFrame] = {}
    reports: list[InputReport] = []
    slices: dict[str, str] = {}
    taken: dict[str, tuple[str, ...]] = {}
    idle: list[str] = []
    missing: list[str] = []
    for entity_id in pipe.input_entity_ids:
        entity = entities.definition_or_default(entity_id)
        provider = provider_for(entity, context)
        location = provider.describe(entity).location
        if not provider.exists(entity):
            if entity_id == pipe.output_entity_id and entity.schema is not None:
                frames[argument_name(entity_id)] = _no_rows_yet(context.spark, entity)
            elif entity_id in driving:
                idle.append(f"{entity_id!r} does not exist yet at {location!r}")
            else:
                missing.append(_missing_text(pipe, entity_id, location))
            continue
        if pipe.use_watermark and entity_id in driving and isinstance(provider, ReadsGains):
            frame, rows, taken[entity_id] = _read_gained(entity, output, provider, run.instance)
            nothing = "has gained nothing"
        else:
            part = slice_read(pipe, entity, run.interval)
            frame, rows = read(pipe, entity, provider, part)
            nothing = "has no rows"
            if part is not None:
                slices[entity_id] = str(part)
                nothing += f" with {part}"
        reports.append(InputReport(entity_id, rows))
        if entity_id in driving and _is_empty(
            entity, provider, frame, rows, is_slice=entity_id in slices
        ):
            idle.append(f"{entity_id!r} {nothing}")
        frames[argument_name(entity_id)] = frame
    if driving and len(idle) == len(driving):
        return Inputs(frames, tuple(reports), "; ".join(idle), slices)
    absent = [text for text in idle if "does not exist" in text]
    if missing or absent:
        raise EntityError(
            "\n".join([*missing, *(f"pipe {pipe.pipeid!r}: input {t}" for t in absent)])
        )
    return Inputs(frames, tuple(reports), "", slices, taken)


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
    return spark.createDataFrame([], declared_schema(entity, spark) or "")


def _missing_text(pipe: PipeMetadata, entity_id: str, location: str) -> str:
    remedy = (
        "  Fix: declare the entity's schema, so that the first run can start from an empty table."
        if entity_id == pipe.output_entity_id
        else "  Fix: run the pipe that writes it first, or correct the entity's provider.path."
    )
    return f"pipe {pipe.pipeid!r}: input {entity_id!r} does not exist at {location!r}\n{remedy}"
