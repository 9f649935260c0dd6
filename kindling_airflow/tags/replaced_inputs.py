"""Streams that are driven by a table whose rows other pipes of the plan replace.

A stream takes each row once and cannot give it back. So what writes its driving input may only add
rows; found here is what cannot go well for long:

| driving input | written by |
|---|---|
| parquet | a run with any write mode but append; a stream with output mode complete |
| delta | a run with overwrite; a stream with output mode complete, update |
| iceberg | a run with overwrite, overwrite_interval; a stream with output mode complete, update |

Slices of Delta and merged rows often only add rows; where they do not, the query says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.intervals import write_mode_of
from kindling_airflow.tags.storage_types import provider_type_of
from kindling_airflow.tags.stream_settings import read_settings

__all__ = ["replaced_inputs"]

_BY_RUNS = {
    "delta": ("overwrite",),
    "iceberg": ("overwrite", "overwrite_interval"),
    "parquet": ("overwrite", "overwrite_interval"),
}
_BY_STREAMS = {
    "delta": ("complete", "update"),
    "iceberg": ("complete", "update"),
    "parquet": ("complete",),
}
_LEAVES_OUT = {
    "delta": ("ignorechanges", "readchangefeed", "skipchangecommits"),
    "iceberg": ("streaming-skip-overwrite-snapshots",),
    "parquet": (),
}
_REMEDIES = {
    "delta": " or leave out what is not added (stream.option.skipChangeCommits: true)",
    "iceberg": (
        " or leave out what is not added (stream.option.streaming-skip-overwrite-snapshots: true)"
    ),
    "parquet": "",
}


def replaced_inputs(
    pipes: Iterable[PipeMetadata], entities: DataEntityRegistry, streams: Collection[str]
) -> list[str]:
    """Return the streams of a plan that would take in again what others replace, or fail.

    Args:
        pipes: the pipes of the plan.
        entities: the declarations.
        streams: the ids of those that run as streams.
    """
    pipes = tuple(pipes)
    writers = {pipe.output_entity_id: pipe for pipe in pipes}
    problems = []
    for pipe in pipes:
        if pipe.pipeid not in streams or not pipe.input_entity_ids:
            continue
        driving = entities.definition_or_default(pipe.input_entity_ids[0])
        writer, kind = writers.get(driving.entityid), provider_type_of(driving)
        if writer is None or writer is pipe or kind not in _BY_RUNS:
            continue
        how = _how(writer, driving, kind, writer.pipeid in streams)
        options = {name.lower() for name in read_settings(pipe.pipeid, pipe.tags)[0].options}
        if how and options.isdisjoint(_LEAVES_OUT[kind]):
            problems.append(
                f"pipe {pipe.pipeid!r}: its driving input {driving.entityid!r} is written by "
                f"{writer.pipeid!r} with {how}, which replaces rows, and a stream cannot take back "
                f"what it has read\n  Fix: let {writer.pipeid!r} add rows (append)"
                f"{_REMEDIES[kind]}, or make {pipe.pipeid!r} a batch pipe."
            )
    return problems


def _how(writer: PipeMetadata, entity: EntityMetadata, kind: str, is_stream: bool) -> str:
    """Return how rows of an entity are replaced; "" if they are not."""
    if is_stream:
        mode = read_settings(writer.pipeid, writer.tags)[0].output_mode
        return f"stream.output_mode {mode!r}" if mode in _BY_STREAMS[kind] else ""
    said = write_mode_of(entity)
    return f"write_mode {said!r}" if said in _BY_RUNS[kind] else ""
