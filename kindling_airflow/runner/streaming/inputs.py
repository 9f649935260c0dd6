"""Reads the inputs of a streaming pipe: the first as a stream, the others as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata, argument_name
from kindling_airflow.errors import DeclarationError, EntityError, PipeRunError
from kindling_airflow.runner.pipe.inputs import ReadInput
from kindling_airflow.runner.providers.interface import ProviderContext, StreamRead, StreamSource
from kindling_airflow.runner.providers.lookup import provider_for
from kindling_airflow.runner.providers.stream_writer import milliseconds
from kindling_airflow.runner.schema.differences import quoted
from kindling_airflow.runner.schema.input_check import checked_input
from kindling_airflow.tags.storage_types import provider_type_of
from kindling_airflow.tags.stream_settings import StreamSettings


class NothingThereYet(EntityError):  # noqa: N818 (there is just nothing to do)
    """The driving input of a stream that takes what is there and ends does not exist yet.

    Attributes:
        missing: the entity, and where it should be.
        note: what the report notes about it.
    """

    note: Mapping[str, Any] = EMPTY

    def __init__(self, text: str, missing: Mapping[str, str] = EMPTY) -> None:
        super().__init__(text)
        self.missing = missing


def stream_source_for(entity: EntityMetadata, context: ProviderContext) -> StreamSource:
    """Return the provider of an entity that drives a stream.

    Raises:
        DeclarationError: it cannot be read as a stream.
    """
    provider = provider_for(entity, context)
    if not isinstance(provider, StreamSource):
        problem = (
            f"entity {entity.entityid!r} is of type {provider_type_of(entity)!r}, which cannot be "
            "read as a stream\n  Fix: let another input drive the pipe: put it first."
        )
        raise DeclarationError([problem])
    return provider


def read_stream_inputs(
    pipe: PipeMetadata,
    entities: DataEntityRegistry,
    context: ProviderContext,
    settings: StreamSettings,
    read: ReadInput,
) -> dict[str, DataFrame]:
    """Return the inputs by the names under which the pipe gets them.

    What does not exist yet is made, empty, of its declared schema: consumers start first.

    Raises:
        EntityError: an input does not exist and cannot be made.
        NothingThereYet: the driving input does not, and the query is not to wait for it.
        PipeRunError: an input does not fit its declared schema, or has no column for the watermark.
    """
    driving_id, *others = pipe.input_entity_ids
    driving = entities.definition_or_default(driving_id)
    source = stream_source_for(driving, context)
    takes_what_is_there = settings.trigger.kind == "available_now"
    if takes_what_is_there and driving.schema is None and not source.exists(driving):
        location = source.describe(driving).location
        text = f"{driving_id!r} does not exist yet at {location!r}"
        raise NothingThereYet(text, {driving_id: location})
    source.make_ready(driving)
    wanted = StreamRead(settings.options, settings.starting_offsets)
    stream = checked_input(driving, source.read_stream(driving, wanted))
    frames = {argument_name(driving_id): _with_watermark(pipe, settings, stream)}
    for entity_id in others:
        entity = entities.definition_or_default(entity_id)
        frames[argument_name(entity_id)] = _table(pipe, entity, context, read)
    return frames


def _with_watermark(pipe: PipeMetadata, settings: StreamSettings, stream: DataFrame) -> DataFrame:
    column = settings.watermark_column
    if column is None:
        return stream
    kinds = {field.name: field.dataType.simpleString() for field in stream.schema}
    if kinds.get(column) != "timestamp":
        found = kinds.get(column)
        what = "is not there" if found is None else f"is of type {found.upper()}"
        raise PipeRunError(
            f"pipe {pipe.pipeid!r}: tag stream.watermark names column {column!r} of "
            f"{pipe.input_entity_ids[0]!r}, which {what}\n"
            "  Fix: name a column of type TIMESTAMP."
        )
    return stream.withWatermark(quoted(column), milliseconds(settings.watermark_delay))


def _table(
    pipe: PipeMetadata, entity: EntityMetadata, context: ProviderContext, read: ReadInput
) -> DataFrame:
    provider = provider_for(entity, context)
    if not provider.exists(entity):
        location = provider.describe(entity).location
        if not isinstance(provider, StreamSource) or not getattr(
            provider, "fresh_in_every_batch", False
        ):
            raise EntityError(
                f"pipe {pipe.pipeid!r}: input {entity.entityid!r} does not exist yet at "
                f"{location!r}, and a stream reads a table of this type once, when it starts\n"
                "  Fix: run the pipe that writes it first, use a format that is re-read in every "
                "batch (delta), or make it the first input, which is read as a stream."
            )
        provider.make_ready(entity)
    frame, _ = read(pipe, entity, provider, None)
    return frame
