"""What is wrong with the streaming pipes of a plan, found when it is compiled.

check_streams(plan's pipes, entities, streams)   all that follows, at once
stream_problems(pipe, entities)                  a stream: its tags, and what it touches

What a type from another distribution can do as a stream is not known here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.inputs import driving_inputs
from kindling_airflow.tags.intervals import WRITE_MODE_TAG
from kindling_airflow.tags.replaced_inputs import replaced_inputs
from kindling_airflow.tags.source_tags import MALFORMED_TAG, keeps_aside
from kindling_airflow.tags.storage_types import BUILT_IN_TYPES, names_secret, provider_type_of
from kindling_airflow.tags.stream_settings import (
    MODE_TAG,
    OPTION_TAG,
    PREFIX,
    StreamSettings,
    is_stream,
    mode_of,
    read_settings,
)

__all__ = ["check_streams", "stream_problems"]

_FILES = ("csv", "json", "parquet")  # Spark wants the schema of a stream of files beforehand
_COUNTERPARTS = {"append": "append", "update": "merge", "complete": "overwrite"}
_READ_ANEW = ("delta", "iceberg")  # in every batch; other tables are read when a query begins
_ROW_BY_ROW = (("kafka", "rate"), ("kafka",))  # what Spark reads and writes without batches


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
    problems += replaced_inputs(pipes, entities, chosen)
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
        kind = provider_type_of(entity)
        if writer == pipe.pipeid or kind not in BUILT_IN_TYPES:
            continue
        if kind in _READ_ANEW and entity.schema is None:
            yield (
                f"pipe {pipe.pipeid!r}: its input {entity_id!r} is written by {writer!r}, which "
                "starts when this stream is ready, and nothing says what is in it until then\n"
                '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
            )
        elif number > 0 and kind not in _READ_ANEW:
            yield (
                f"pipe {pipe.pipeid!r}: its input {entity_id!r} is written by {writer!r}, which "
                f"starts when this stream is ready, and {kind} is read as a table once, before "
                "that\n"
                f"  Fix: store the entity as {' or '.join(_READ_ANEW)}, make it the first input, "
                f"or run {writer!r} in another plan."
            )


def _gains_of_streams(pipe: PipeMetadata, written: Mapping[str, str]) -> list[str]:
    """Return the driving inputs of a batch pipe that cannot tell what they have gained."""
    return [
        f"pipe {pipe.pipeid!r}: use_watermark wants to know what {entity_id!r} has gained, and it "
        f"is written by the stream {written[entity_id]!r}, whose batches are nobody's runs\n"
        f"  Fix: make the pipe a stream ({MODE_TAG}: streaming), which takes what is new, or take "
        "use_watermark out."
        for entity_id in driving_inputs(pipe)
        if entity_id in written
    ]


def _unknown_mode(pipe: PipeMetadata) -> list[str]:
    """Return whether a pipe says that it runs in a way that there is not.

    Strategies that read the tag refuse it themselves; the others do not look at it.
    """
    said = pipe.tags.get(MODE_TAG, "batch")
    if mode_of({MODE_TAG: said}) in ("batch", "streaming"):
        return []
    return [
        (
            f"pipe {pipe.pipeid!r}: tag {MODE_TAG} must be 'batch' or 'streaming', not {said!r}\n"
            "  Fix: correct the tag, or leave it out where the pipe is a batch pipe."
        )
    ]


def _misplaced_tags(pipe: PipeMetadata) -> list[str]:
    """Return the ``stream.*`` tags of a pipe that is none of a plan's streams.

    One that says that it streams may be run as a batch pipe by a plan; its tags just wait.
    """
    misplaced = [key for key in pipe.tags if key.startswith(PREFIX)]
    if not misplaced or is_stream(pipe.tags):
        return []
    return [
        f"pipe {pipe.pipeid!r}: tag {key!r} is for streams, and this is a batch pipe\n"
        f"  Fix: add the tag {MODE_TAG}: streaming, or take this one out."
        for key in misplaced
    ]


def _streams_output(pipe: PipeMetadata, entities: DataEntityRegistry) -> list[str]:
    """Return whether a batch pipe writes what streams alone can write."""
    kind = provider_type_of(entities.definition_or_default(pipe.output_entity_id))
    known = BUILT_IN_TYPES.get(kind)
    if known is None or known.write_modes or not known.streams_into:
        return []
    problem = (
        f"pipe {pipe.pipeid!r}: its output {pipe.output_entity_id!r} is of type {kind!r}, which a "
        "batch pipe cannot write: what it sends is seen at once, and sent again by each retry\n"
        f"  Fix: make it a stream ({MODE_TAG}: streaming), or let it write a table, and a stream "
        "send what is added to that."
    )
    return [problem]


def _shared_checkpoints(pipes: Iterable[PipeMetadata]) -> list[str]:
    """Return the streams that would keep in one place how far they are."""
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
                "  Fix: give each a stream.checkpoint of its own, or none: the default is."
            )
    return problems


def _pipe_problems(pipe: PipeMetadata) -> Iterator[str]:
    if mode_of(pipe.tags) == "batch":
        yield (
            f"tag {MODE_TAG} is 'batch', and every pipe of a streaming plan is a stream\n"
            "  Fix: use strategy 'hybrid' or 'config_based', or take the tag out."
        )
    if pipe.use_watermark:
        yield (
            "use_watermark is for batch pipes: a stream's checkpoint says what it has taken\n"
            "  Fix: take it out; how late rows may be is said by stream.watermark."
        )
    yield from (
        f"tag {key!r} is for batch pipes: a stream has no interval\n  Fix: take it out."
        for key in pipe.tags
        if key.startswith("interval.")
    )
    yield from (
        f"tag {key!r} names a secret, and tags stand in the manifest\n"
        "  Fix: keep it in an Airflow connection, and name that in the entity's "
        "provider.connection."
        for key in pipe.tags
        if key.startswith(OPTION_TAG) and names_secret(key)
    )


def _driving_problems(
    pipe: PipeMetadata, settings: StreamSettings, entities: DataEntityRegistry
) -> Iterator[str]:
    if not pipe.input_entity_ids:
        yield "is a stream without an input\n  Fix: name what drives it in input_entity_ids."
        return
    for entity_id in pipe.input_entity_ids:
        source = entities.definition_or_default(entity_id)
        if provider_type_of(source) in ("csv", "json") and keeps_aside(source):
            yield (
                f"its input {entity_id!r} has {MALFORMED_TAG}: aside, and malformed records are "
                "kept aside only where a batch pipe reads them\n"
                f"  Fix: take {MALFORMED_TAG} out, or let a batch pipe read the entity."
            )
    driving = pipe.input_entity_ids[0]
    if pipe.driving_entity_ids not in ((), (driving,)):
        yield (
            f"a stream is driven by its first input alone, {driving!r}\n"
            "  Fix: take driving_entity_ids out, and put first what is to drive it."
        )
    if driving == pipe.output_entity_id:
        yield (
            f"is driven by its own output {driving!r}, and would never come to its end\n"
            "  Fix: put another input first."
        )
    entity = entities.definition_or_default(driving)
    kind = provider_type_of(entity)
    known = BUILT_IN_TYPES.get(kind)
    if known is None:
        return
    if not known.streams_from:
        names = ", ".join(name for name, each in BUILT_IN_TYPES.items() if each.streams_from)
        yield (
            f"its driving input {driving!r} is of type {kind!r}, which cannot be read as a stream\n"
            f"  Fix: put first an entity of one of {names}."
        )
        return
    if kind in _FILES and entity.schema is None:
        yield (
            f"its driving input {driving!r} is read as a stream of {kind} files, and nothing says "
            "what is in them\n"
            '  Fix: declare the schema of the entity: schema: "id BIGINT, at TIMESTAMP".'
        )
    wrong = _offsets_problem(kind, settings.starting_offsets)
    if wrong is not None:
        yield f"tag stream.starting_offsets is {settings.starting_offsets!r}: {wrong}"


def _output_problems(
    pipe: PipeMetadata, settings: StreamSettings, entities: DataEntityRegistry
) -> Iterator[str]:
    entity = entities.definition_or_default(pipe.output_entity_id)
    kind, mode = provider_type_of(entity), settings.output_mode
    known = BUILT_IN_TYPES.get(kind)
    what = f"its output {pipe.output_entity_id!r}"
    if known is None or not known.is_written:  # no pipe at all can write it: said elsewhere
        return
    if not known.streams_into:
        names = ", ".join(name for name, each in BUILT_IN_TYPES.items() if each.streams_into)
        yield (
            f"{what} is of type {kind!r}, which no stream can write\n"
            f"  Fix: store it as one of {names}."
        )
        return
    if mode not in known.streams_into:
        reason = ": it cannot replace single rows" if (kind, mode) == ("parquet", "update") else ""
        yield (
            f"{what} is of type {kind!r}, which a stream cannot write by {mode!r}{reason}\n"
            f"  Fix: set stream.output_mode to one of {', '.join(known.streams_into)}, or store it "
            "as another type."
        )
    elif mode == "update" and "merge" in known.write_modes and not entity.merge_columns:
        yield (
            f"{what} is written by 'update', and nothing says which rows are the same\n"
            "  Fix: name the columns of the key in the entity's merge_columns."
        )
    said = entity.tags.get(WRITE_MODE_TAG)
    if said is not None and said != _COUNTERPARTS[mode]:
        yield (
            f"{what} says {WRITE_MODE_TAG}: {said}, and stream.output_mode {mode!r} writes it by "
            f"{_COUNTERPARTS[mode]!r}\n  Fix: make the two agree, or take {WRITE_MODE_TAG} out."
        )
    if pipe.expectations and mode == "append" and not known.appends_by_batch:
        yield (
            f"its expectations cannot be checked: rows go into {kind} as they come, and there is "
            "no moment between a batch and its publication\n"
            f"  Fix: store {pipe.output_entity_id!r} as {_checking_types()}, use "
            "stream.output_mode: complete, or let a batch pipe check what it reads."
        )
    yield from _row_by_row_problems(pipe, settings, entities, kind)


def _row_by_row_problems(
    pipe: PipeMetadata, settings: StreamSettings, entities: DataEntityRegistry, kind: str
) -> Iterator[str]:
    if settings.trigger.kind != "continuous" or not pipe.input_entity_ids:
        return
    sources, sinks = _ROW_BY_ROW
    source = provider_type_of(entities.definition_or_default(pipe.input_entity_ids[0]))
    if (source in BUILT_IN_TYPES and source not in sources) or kind not in sinks:
        yield (
            f"tag stream.trigger is {pipe.tags['stream.trigger']!r}, and row by row Spark reads "
            f"only {' and '.join(sources)}, and writes only {' and '.join(sinks)}\n"
            "  Fix: use a duration such as '1s', or 'default'."
        )
    if settings.stall_timeout > 0 and "stream.stall_timeout" in pipe.tags:
        yield (
            f"tag stream.stall_timeout is {pipe.tags['stream.stall_timeout']!r}, and row by row "
            "Spark does not tell how a query gets on, so no stall is ever found\n"
            "  Fix: take it out, or let stream.trigger be a duration such as '1s', or 'default'."
        )


def _checking_types() -> str:
    names = [name for name, each in BUILT_IN_TYPES.items() if each.appends_by_batch]
    return " or ".join(names)


_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")


def _offsets_problem(kind: str, said: str | None) -> str | None:
    """Return what is wrong with where a stream of a built-in type is to begin."""
    if said is None:
        return None
    if kind == "kafka":
        if said in ("earliest", "latest") or _is_json_object(said):
            return None
        return (
            "no place in a topic\n"
            """  Fix: write 'earliest', 'latest', or JSON such as '{"orders": {"0": 23}}'."""
        )
    if kind == "delta":
        if said in ("earliest", "latest") or _WHOLE.fullmatch(said) or _is_moment(said):
            return None
        return (
            "no version of a table\n"
            "  Fix: write 'earliest', 'latest', a version such as '12', or a time such as "
            "'2026-01-31T06:00:00Z'."
        )
    if kind == "iceberg":
        if _is_moment(said):
            return None
        return "no time\n  Fix: write a time such as '2026-01-31T06:00:00Z'."
    return f"a stream of {kind} has no offsets\n  Fix: take it out."


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return False
    return True
