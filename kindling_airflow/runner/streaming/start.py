"""Starts a query as a request asks for it.

declarations -> inputs, the first as a stream -> function -> checks -> checkpoint -> query
                                                                |
                              append: the format's own sink     |     what it is for must be
                              else:   each batch is published   |     what it was made for
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError, PipeRunError
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.runner.pipe.pipe_call import call_pipe, declarations_of, pipe_of
from kindling_airflow.runner.pipe.publish_result import Destination
from kindling_airflow.runner.pipe.run_context import RunContext
from kindling_airflow.runner.pipe.run_pipe import Hooks
from kindling_airflow.runner.providers.interface import (
    EntityProvider,
    ExplainsStreams,
    ProviderContext,
    StreamSink,
    StreamWrite,
    WritableProvider,
    WriteModes,
)
from kindling_airflow.runner.providers.lookup import provider_for
from kindling_airflow.runner.providers.place_check import check_checkpoint, check_place
from kindling_airflow.runner.providers.stream_writer import stream_writer
from kindling_airflow.runner.schema.output_check import checked_output
from kindling_airflow.runner.streaming.batches import WRITE_MODES, BatchPublisher
from kindling_airflow.runner.streaming.checkpoint import Checkpoint, Purpose, checkpoint_path
from kindling_airflow.runner.streaming.inputs import NothingThereYet, read_stream_inputs
from kindling_airflow.runner.streaming.running import RunningStream, StreamFacts
from kindling_airflow.runner.streaming.stateful_operators import stateful_operators
from kindling_airflow.tags.inputs import missing_note
from kindling_airflow.tags.storage_types import provider_type_of
from kindling_airflow.tags.stream_checks import stream_problems
from kindling_airflow.tags.stream_settings import StreamSettings, StreamTrigger


def start_stream(
    request: RunRequest,
    spark: SparkSession,
    declared: HarvestedModules | None = None,
    hooks: Hooks | None = None,
    settled: Callable[[StreamSettings], None] | None = None,
) -> RunningStream:
    """Start a pipe as a stream, and return without waiting until it is ready.

    Args:
        request: the pipe; ``request.stream`` says how it runs.
        spark: the session.
        declared: the project's declarations, where the caller has imported them already.
        hooks: the caller's hooks.
        settled: is called with the query's settings, before anything is read.

    Raises:
        DeclarationError: the pipe cannot run as a stream.
        PipeRunError: the pipe's result is not a stream or does not fit its declaration, or its
            checkpoint or its output belongs to something else.
        EntityError: an input does not exist and cannot be made, or storage is in the way.
    """
    hooks = hooks or Hooks()
    declared = declarations_of(request, declared)
    pipe, settings = stream_pipe_of(request, declared)
    if settled is not None:
        settled(settings)
    output = declared.entities.definition_or_default(pipe.output_entity_id)
    driving = declared.entities.definition_or_default(pipe.input_entity_ids[0])
    context = ProviderContext(spark, request.warehouse, hooks.memory)
    provider = provider_for(output, context)
    root = str(request.stream.get("checkpoints") or "")
    path = checkpoint_path(root, request.warehouse, settings.checkpoint)
    check_place(output, context, settings)
    check_checkpoint(pipe.pipeid, path, context)
    by_batch = _goes_by_batch(pipe, output, provider, settings)
    try:
        frames = read_stream_inputs(pipe, declared.entities, context, settings, hooks.read)
    except NothingThereYet as nothing:
        nothing.note = missing_note(nothing.missing, declared.pipes, pipe.pipeid)
        raise
    result = call_pipe(pipe, frames, RunContext.of(request, spark))
    stream = _checked_stream(pipe, output, result)
    checkpoint = Checkpoint(context.storage, path, pipe.pipeid)
    source = provider_for(driving, context)
    purpose = Purpose(
        reads=_what_and_where(driving, source),
        writes=_what_and_where(output, provider),
        output_mode=settings.output_mode,
        by_batch=by_batch,
        row_by_row=settings.trigger.kind == "continuous",
        state=stateful_operators(result),
        spark=".".join(spark.version.split(".")[:2]),
    )
    checkpoint.take(purpose)
    description = provider.describe(output)
    location = description.location
    facts = StreamFacts(
        pipe_id=pipe.pipeid,
        driving_id=driving.entityid,
        output_id=output.entityid,
        location=location,
        description=description.to_json(),
        settings=settings,
        explain=partial(_explained, driving, source),
    )
    write = StreamWrite(pipe.pipeid, path, settings.output_mode, settings.trigger)
    if isinstance(provider, WritableProvider) and by_batch:
        batches = BatchPublisher(
            Destination(pipe, output, provider),
            checkpoint,
            escape_component(request.attempt_key),
            WRITE_MODES[settings.output_mode],
            before_stage=lambda: hooks.before_stage(location),
            before_publish=lambda: hooks.before_publish(location),
            after_publish=lambda: hooks.after_publish(location),
        )
        return RunningStream(facts, partial(_begin_batches, result, write, batches), batches)
    return RunningStream(facts, partial(_begin_sink, provider, output, stream, write), None)


def stream_pipe_of(
    request: RunRequest, declared: HarvestedModules
) -> tuple[PipeMetadata, StreamSettings]:
    """Return the pipe that is to be streamed, and the settings of its query in this run.

    Raises:
        DeclarationError: it cannot run as a stream; lists every reason.
        PipeRunError: the project does not declare it.
    """
    pipe = pipe_of(request, declared)
    problems = stream_problems(pipe, declared.entities)
    if problems:
        raise DeclarationError(problems)
    settings = StreamSettings.of(pipe)
    if request.stream.get("lifetime") == "available_now":
        settings = replace(settings, trigger=StreamTrigger("available_now"))
    return pipe, settings


def _goes_by_batch(
    pipe: PipeMetadata, output: EntityMetadata, provider: EntityProvider, settings: StreamSettings
) -> bool:
    """Return whether batches are published, and not handed to a sink of the format's own.

    Raises:
        DeclarationError: neither can be done.
    """
    mode = settings.output_mode
    sinks = getattr(provider, "native_output_modes", ("append",))
    if isinstance(provider, StreamSink) and mode in sinks and not pipe.expectations:
        return False
    known = provider.write_modes if isinstance(provider, WriteModes) else ("overwrite",)
    if not isinstance(provider, WritableProvider) or WRITE_MODES[mode] not in known:
        checked = " with expectations" if pipe.expectations else ""
        problem = (
            f"pipe {pipe.pipeid!r}: its output {output.entityid!r} is of type "
            f"{provider_type_of(output)!r}, which a stream cannot write in mode {mode!r}{checked}\n"
            "  Fix: set another stream.output_mode, or store the entity in another format."
        )
        raise DeclarationError([problem])
    return True


def _checked_stream(pipe: PipeMetadata, output: EntityMetadata, result: Any) -> DataFrame:
    """Return a pipe's result as its output is declared."""
    stream = checked_output(pipe, output, result)
    if not result.isStreaming:
        raise PipeRunError(
            f"pipe {pipe.pipeid!r} returned a batch DataFrame instead of a stream: its result is "
            f"not derived from {pipe.input_entity_ids[0]!r}, which is read as a stream\n"
            "  Fix: derive the result from the first input, or make the pipe a batch pipe."
        )
    return stream


def _what_and_where(entity: EntityMetadata, provider: EntityProvider) -> str:
    location = provider.describe(entity).location
    return f"{entity.entityid!r} ({provider_type_of(entity)}, {location})"


def _begin_sink(
    sink: Any, output: EntityMetadata, stream: DataFrame, write: StreamWrite, trigger: StreamTrigger
) -> StreamingQuery:
    query: StreamingQuery = sink.start(output, stream, replace(write, trigger=trigger))
    return query


def _begin_batches(
    result: DataFrame, write: StreamWrite, batches: BatchPublisher, trigger: StreamTrigger
) -> StreamingQuery:
    return stream_writer(result, replace(write, trigger=trigger)).foreachBatch(batches).start()


def _explained(driving: EntityMetadata, source: EntityProvider, error: Exception) -> str | None:
    """Return the driving format's explanation of a query's error."""
    return source.stream_problem(driving, error) if isinstance(source, ExplainsStreams) else None
