"""Checks the streaming pipes of a plan, when it is compiled.

check_streams(plan's pipes, entities, streams)   all that follows, at once
stream_problems(pipe, entities)                  a stream: its tags, and what it touches

What a type from another distribution can do as a stream is not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.entity_checks import names_secret
from kindling_airflow.tags.inputs import driving_inputs
from kindling_airflow.tags.intervals import write_mode_of
from kindling_airflow.tags.names import (
    CHECKPOINT_TAG,
    MALFORMED_TAG,
    MODE_TAG,
    OFFSETS_TAG,
    OUTPUT_MODE_TAG,
    STALL_TIMEOUT_TAG,
    STREAM_OPTION_TAGS,
    TRIGGER_TAG,
    WATERMARK_TAG,
    WRITE_MODE_TAG,
)
from kindling_airflow.tags.registry import value_problems
from kindling_airflow.tags.storage_checks import keeps_aside
from kindling_airflow.tags.storage_types import (
    STORAGE_TYPES,
    StorageType,
    StreamSource,
    provider_type_of,
    storage_type_of,
)
from kindling_airflow.tags.stream_settings import (
    STREAM_PREFIX,
    StreamSettings,
    is_stream,
    mode_of,
    read_settings,
)

__all__ = ["check_streams", "stream_problems"]

_COUNTERPARTS = {"append": "append", "update": "merge", "complete": "overwrite"}


def check_streams(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    streams: Collection[str],
    *,
    consumers_first: bool = False,
) -> list[str]:
    """Return why the streams of a plan cannot run, and which tags of streams others have.

    Args:
        pipes: the pipes of the plan.
        entities: the declarations.
        streams: the ids of those that run as streams.
        consumers_first: streams start before what feeds them.
    """
    pipes, chosen = tuple(pipes), frozenset(streams)
    running, problems = [], []
    for pipe in pipes:
        problems += _unknown_mode(pipe)
        if pipe.pipeid in chosen:
            running.append(pipe)
            problems += stream_problems(pipe, entities)
        else:
            problems += _misplaced_tags(pipe)
            problems += _streams_output(pipe, entities)
    if consumers_first:
        writers = {pipe.output_entity_id: pipe.pipeid for pipe in pipes}
        problems += [text for pipe in running for text in _not_there_yet(pipe, entities, writers)]
    written = {pipe.output_entity_id: pipe.pipeid for pipe in running}
    for pipe in pipes if written else ():
        if pipe.use_watermark and pipe.pipeid not in chosen:
            problems += _gains_of_streams(pipe, written)
    problems += _replaced_inputs(pipes, entities, chosen)
    return problems + _shared_checkpoints(running)


def stream_problems(pipe: PipeMetadata, entities: DataEntityRegistry) -> list[str]:
    """Return why a pipe cannot run as a stream."""
    settings, problems = read_settings(pipe.pipeid, pipe.tags)
    found = [
        *_pipe_problems(pipe),
        *_driving_problems(pipe, settings, entities),
        *_output_problems(pipe, settings, entities),
    ]
    return [*problems, *(f"pipe {pipe.pipeid!r}: {text}" for text in found)]


def _not_there_yet(
    pipe: PipeMetadata, entities: DataEntityRegistry, writers: Mapping[str, str]
) -> Iterator[str]:
    """Yield the inputs without which a stream never starts, because their writers wait for it."""
    for number, entity_id in enumerate(pipe.input_entity_ids):
        writer = writers.get(entity_id, pipe.pipeid)
        entity = entities.definition_or_default(entity_id)
        known = storage_type_of(entity)
        if writer == pipe.pipeid or known is None:
            continue
        what = (
            f"pipe {pipe.pipeid!r}: its input {entity_id!r} is written by {writer!r}, which starts "
            "when this stream is ready"
        )
        if known.reread_by_streams and entity.schema is None:
            yield (
                f"{what}, and no schema is declared for it until then\n"
                '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
            )
        elif number > 0 and not known.reread_by_streams:
            reread = [name for name, each in STORAGE_TYPES.items() if each.reread_by_streams]
            yield (
                f"{what}, and {provider_type_of(entity)} is read as a table once, before that\n"
                f"  Fix: store the entity as {' or '.join(reread)}, make it the first input, "
                f"or run {writer!r} in another plan."
            )


def _gains_of_streams(pipe: PipeMetadata, written: Mapping[str, str]) -> list[str]:
    """Return the driving inputs of a batch pipe of which it cannot read what was added."""
    return [
        f"pipe {pipe.pipeid!r}: use_watermark reads what runs have added to {entity_id!r}, but it "
        f"is written by the stream {written[entity_id]!r}, whose batches belong to no run\n"
        f"  Fix: make the pipe a stream ({MODE_TAG}: streaming), which reads what is new, or "
        "remove use_watermark."
        for entity_id in driving_inputs(pipe)
        if entity_id in written
    ]


def _unknown_mode(pipe: PipeMetadata) -> list[str]:
    """Return what is wrong with a pipe's tag ``processing_mode``.

    Strategies that read it refuse it themselves; the others do not look at it.
    """
    return [f"pipe {pipe.pipeid!r}: {p}" for p in value_problems("pipe", pipe.tags, (MODE_TAG,))]


def _misplaced_tags(pipe: PipeMetadata) -> list[str]:
    """Return the ``stream.*`` tags of a pipe that is not one of a plan's streams.

    A streaming pipe may be run as a batch pipe by a plan; its tags then have no effect.
    """
    misplaced = [key for key in pipe.tags if key.startswith(STREAM_PREFIX)]
    if not misplaced or is_stream(pipe.tags):
        return []
    return [
        f"pipe {pipe.pipeid!r}: tag {key!r} is for streams, and this is a batch pipe\n"
        f"  Fix: add the tag {MODE_TAG}: streaming, or remove this one."
        for key in misplaced
    ]


def _streams_output(pipe: PipeMetadata, entities: DataEntityRegistry) -> list[str]:
    """Return whether a batch pipe writes what streams alone can write."""
    entity = entities.definition_or_default(pipe.output_entity_id)
    known, kind = storage_type_of(entity), provider_type_of(entity)
    if known is None or known.write_modes or not known.stream_modes:
        return []
    problem = (
        f"pipe {pipe.pipeid!r}: its output {pipe.output_entity_id!r} is of type {kind!r}, which a "
        "batch pipe cannot write: records are visible at once, and each retry sends them again\n"
        f"  Fix: make it a stream ({MODE_TAG}: streaming), or let it write a table, and a stream "
        "send what is added to that."
    )
    return [problem]


def _shared_checkpoints(pipes: Iterable[PipeMetadata]) -> list[str]:
    """Return the streams that would share a checkpoint."""
    taken: dict[str, str] = {}
    problems = []
    for pipe in pipes:
        path = read_settings(pipe.pipeid, pipe.tags)[0].checkpoint
        place = "/".join(part for part in path.split("/") if part not in ("", "."))
        place = f"/{place}" if path.startswith("/") else place
        other = taken.setdefault(place, pipe.pipeid)
        if other != pipe.pipeid:
            problems.append(
                f"pipes {other!r} and {pipe.pipeid!r} have the same checkpoint {path!r}, and two "
                "queries on one would stop each other\n"
                f"  Fix: give each its own {CHECKPOINT_TAG}, or none: the default is unique."
            )
    return problems


def _pipe_problems(pipe: PipeMetadata) -> Iterator[str]:
    if mode_of(pipe.tags) == "batch":
        yield (
            f"tag {MODE_TAG} is 'batch', and every pipe of a streaming plan is a stream\n"
            "  Fix: use strategy 'hybrid' or 'config_based', or remove the tag."
        )
    if pipe.use_watermark:
        yield (
            "use_watermark is for batch pipes: a stream's checkpoint holds what it has read\n"
            f"  Fix: remove it; {WATERMARK_TAG} sets how late rows may be."
        )
    yield from (
        f"tag {key!r} is for batch pipes: a stream has no interval\n  Fix: remove the tag."
        for key in pipe.tags
        if key.startswith("interval.")
    )
    yield from (
        f"tag {key!r} names a secret, and tags are stored in the manifest\n"
        "  Fix: keep it in an Airflow connection, and name that in the entity's "
        "provider.connection."
        for key in pipe.tags
        if key.startswith(STREAM_OPTION_TAGS) and names_secret(key)
    )


def _driving_problems(
    pipe: PipeMetadata, settings: StreamSettings, entities: DataEntityRegistry
) -> Iterator[str]:
    if not pipe.input_entity_ids:
        yield "is a stream without an input\n  Fix: name what drives it in input_entity_ids."
        return
    for entity_id in pipe.input_entity_ids:
        source = entities.definition_or_default(entity_id)
        if keeps_aside(source):
            yield (
                f"its input {entity_id!r} has {MALFORMED_TAG}: aside, and malformed records are "
                "kept aside only where a batch pipe reads them\n"
                f"  Fix: remove {MALFORMED_TAG}, or let a batch pipe read the entity."
            )
    driving = pipe.input_entity_ids[0]
    if pipe.driving_entity_ids not in ((), (driving,)):
        yield (
            f"a stream is driven by its first input alone, {driving!r}\n"
            "  Fix: remove driving_entity_ids, and put the driving input first."
        )
    if driving == pipe.output_entity_id:
        yield (
            f"is driven by its own output {driving!r}, and would never end\n"
            "  Fix: put another input first."
        )
    entity = entities.definition_or_default(driving)
    known, kind = storage_type_of(entity), provider_type_of(entity)
    if known is None:
        return
    if known.source is None:
        names = ", ".join(name for name, each in STORAGE_TYPES.items() if each.source is not None)
        yield (
            f"its driving input {driving!r} is of type {kind!r}, which cannot be read as a stream\n"
            f"  Fix: put first an entity of one of {names}."
        )
        return
    if known.source.needs_schema and entity.schema is None:
        yield (
            f"its driving input {driving!r} is read as a stream of {kind} files, and no schema is "
            "declared for them\n"
            '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
        )
    offsets = settings.starting_offsets
    wrong = None if offsets is None else _offsets_problem(kind, known.source, offsets)
    if wrong is not None:
        yield f"tag {OFFSETS_TAG} is {offsets!r}: {wrong}"


def _offsets_problem(kind: str, source: StreamSource, offsets: str) -> str | None:
    if source.offsets is None:
        return f"a stream of {kind} has no offsets\n  Fix: remove the tag."
    return source.offsets(offsets)


def _output_problems(
    pipe: PipeMetadata, settings: StreamSettings, entities: DataEntityRegistry
) -> Iterator[str]:
    entity = entities.definition_or_default(pipe.output_entity_id)
    kind, mode = provider_type_of(entity), settings.output_mode
    known = storage_type_of(entity)
    what = f"its output {pipe.output_entity_id!r}"
    if known is None or not known.is_written:  # no pipe at all can write it: reported elsewhere
        return
    if not known.stream_modes:
        names = ", ".join(name for name, each in STORAGE_TYPES.items() if each.stream_modes)
        yield (
            f"{what} is of type {kind!r}, which no stream can write\n"
            f"  Fix: store it as one of {names}."
        )
        return
    if mode not in known.stream_modes:
        reason = ": it cannot replace single rows" if (kind, mode) == ("parquet", "update") else ""
        yield (
            f"{what} is of type {kind!r}, which a stream cannot write by {mode!r}{reason}\n"
            f"  Fix: set {OUTPUT_MODE_TAG} to one of {', '.join(known.stream_modes)}, or store it "
            "as another type."
        )
    elif mode == "update" and "merge" in known.write_modes and not entity.merge_columns:
        yield (
            f"{what} is written by 'update', and it has no merge_columns to identify a row\n"
            "  Fix: name the columns of the key in the entity's merge_columns."
        )
    written = entity.tags.get(WRITE_MODE_TAG)
    if written is not None and written != _COUNTERPARTS[mode]:
        yield (
            f"{what} has {WRITE_MODE_TAG}: {written}, and {OUTPUT_MODE_TAG} {mode!r} writes it by "
            f"{_COUNTERPARTS[mode]!r}\n  Fix: make the two agree, or remove {WRITE_MODE_TAG}."
        )
    if pipe.expectations and mode == "append" and not known.appends_by_batch:
        checked = [name for name, each in STORAGE_TYPES.items() if each.appends_by_batch]
        yield (
            f"its expectations cannot be checked: rows go into {kind} as they come, and a "
            "batch is not held back before its publication\n"
            f"  Fix: store {pipe.output_entity_id!r} as {' or '.join(checked)}, use "
            "stream.output_mode: complete, or let a batch pipe check what it reads."
        )
    yield from _row_by_row_problems(pipe, settings, entities, known)


def _row_by_row_problems(
    pipe: PipeMetadata, settings: StreamSettings, entities: DataEntityRegistry, sink: StorageType
) -> Iterator[str]:
    if settings.trigger.kind != "continuous" or not pipe.input_entity_ids:
        return
    source = storage_type_of(entities.definition_or_default(pipe.input_entity_ids[0]))
    reads = source is None or (source.source is not None and source.source.by_row)
    if not reads or not sink.written_by_row:
        types = STORAGE_TYPES.items()
        sources = [name for name, each in types if each.source is not None and each.source.by_row]
        sinks = [name for name, each in types if each.written_by_row]
        yield (
            f"tag {TRIGGER_TAG} is {pipe.tags[TRIGGER_TAG]!r}, and row by row Spark reads "
            f"only {' and '.join(sources)}, and writes only {' and '.join(sinks)}\n"
            "  Fix: use a duration such as '1s', or 'default'."
        )
    if settings.stall_timeout > 0 and STALL_TIMEOUT_TAG in pipe.tags:
        yield (
            f"tag {STALL_TIMEOUT_TAG} is {pipe.tags[STALL_TIMEOUT_TAG]!r}, and row by row Spark "
            "does not report a query's progress, so stalls are never detected\n"
            f"  Fix: remove it, or set {TRIGGER_TAG} to a duration such as '1s', or 'default'."
        )


def _replaced_inputs(
    pipes: Iterable[PipeMetadata], entities: DataEntityRegistry, streams: Collection[str]
) -> Iterator[str]:
    """Yield the streams of a plan that would take in again what others replace, or fail.

    A stream takes each row once and cannot give it back, so what writes its driving input may only
    add rows. Slices of Delta and merged rows often only do that; where not, the query fails.
    """
    writers = {pipe.output_entity_id: pipe for pipe in pipes}
    for pipe in pipes:
        if pipe.pipeid not in streams or not pipe.input_entity_ids:
            continue
        driving = entities.definition_or_default(pipe.input_entity_ids[0])
        writer, known = writers.get(driving.entityid), storage_type_of(driving)
        if writer is None or writer is pipe or known is None or known.source is None:
            continue
        how = _replaces(writer, driving, known.source, writer.pipeid in streams)
        options = {name.lower() for name in read_settings(pipe.pipeid, pipe.tags)[0].options}
        skips = known.source.skips_replaced
        if how and options.isdisjoint(map(str.lower, skips)):
            other = "".join(
                f" or skip what is not added ({STREAM_OPTION_TAGS}{option}: true)"
                for option in skips[:1]
            )
            yield (
                f"pipe {pipe.pipeid!r}: its driving input {driving.entityid!r} is written by "
                f"{writer.pipeid!r} with {how}, which replaces rows, and a stream cannot take back "
                f"what it has read\n  Fix: let {writer.pipeid!r} add rows (append)"
                f"{other}, or make {pipe.pipeid!r} a batch pipe."
            )


def _replaces(
    writer: PipeMetadata, entity: EntityMetadata, source: StreamSource, is_stream: bool
) -> str:
    """Return how rows of an entity are replaced; "" if they are not."""
    if is_stream:
        mode = read_settings(writer.pipeid, writer.tags)[0].output_mode
        return f"{OUTPUT_MODE_TAG} {mode!r}" if mode in source.replaced_by_streams else ""
    written = write_mode_of(entity)
    return f"{WRITE_MODE_TAG} {written!r}" if written in source.replaced_by_runs else ""
