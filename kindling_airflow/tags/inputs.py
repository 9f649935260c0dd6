"""The inputs that drive a pipe: without them, or without new data in them, its run is skipped.

| driving input                                  | the run                                     |
|------------------------------------------------|---------------------------------------------|
| does not exist (never written, nothing landed) | is skipped                                  |
| has gained nothing, with ``use_watermark``     | is skipped                                  |
| exists and is empty, or its slice is           | publishes the result, perhaps without a row |
| the same, with ``on_empty_input: skip``        | is skipped if all driving inputs are empty  |

An empty input is a value: what was computed from the rows that it had would be stale otherwise. A
function is driven by its first input, unless it declares others. A query is driven by all that it
reads, because the order of tables in its text means nothing.

A missing input is outside data that has not come yet, or a table of this project. The driver cannot
know which, so it skips the run and notes what is missing; its caller knows how the writing pipe has
ended, and lets the run fail where that pipe was neither skipped nor is still streaming.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.protocol.contracts import RunFailure, RunReport
from kindling_airflow.tags.names import ON_EMPTY_TAG, PATH_TAG
from kindling_airflow.tags.registry import value_problems

__all__ = [
    "WriterEnd",
    "driving_inputs",
    "driving_problems",
    "end_of",
    "missing_note",
    "skips_empty",
    "with_missing_judged",
]

WriterEnd = Literal["skipped", "running", "other"]
_KEY = "missing_inputs"


def driving_inputs(pipe: PipeMetadata) -> tuple[str, ...]:
    """Return the ids of the inputs that decide whether there is work."""
    if pipe.driving_entity_ids:
        return pipe.driving_entity_ids
    if pipe.sql is None:
        return pipe.input_entity_ids[:1]
    return tuple(e for e in pipe.input_entity_ids if e != pipe.output_entity_id)


def skips_empty(pipe: PipeMetadata) -> bool:
    """Return whether a run is skipped where all driving inputs exist and are empty."""
    return pipe.tags.get(ON_EMPTY_TAG) == "skip"


def driving_problems(pipe: PipeMetadata) -> Iterator[str]:
    """Yield what is wrong with what a pipe declares about its driving inputs."""
    for text in value_problems("pipe", pipe.tags, (ON_EMPTY_TAG,)):
        yield f"pipe {pipe.pipeid!r}: {text}"
    if pipe.use_watermark and pipe.sql is not None and not pipe.driving_entity_ids:
        others = driving_inputs(pipe)
        if len(others) > 1:
            yield (
                f"pipe {pipe.pipeid!r}: use_watermark on a query with several inputs "
                f"({', '.join(map(repr, others))}), and nothing declares which of them is read by "
                "what it has gained\n"
                f"  Fix: name it, for example driving_entity_ids=[{others[0]!r}]."
            )


def missing_note(
    missing: Mapping[str, str], pipes: DataPipesRegistry, reader: str
) -> dict[str, Any]:
    """Return what a report notes about missing inputs; empty where none is missing.

    Args:
        missing: by entity, where it should be.
        pipes: the pipes of the project.
        reader: the pipe that reads them.
    """
    if not missing:
        return {}
    writers = {pipe.output_entity_id: pipe.pipeid for pipe in pipes if pipe.pipeid != reader}
    return {
        _KEY: {
            entity_id: {"location": location, "written_by": writers.get(entity_id)}
            for entity_id, location in missing.items()
        }
    }


def end_of(document: Mapping[str, Any]) -> WriterEnd:
    """Return how a pipe has ended, from its report.

    A stream that was asked to end before anything came to it has had nothing to do, too.
    """
    inputs, extra = document.get("inputs") or (), document.get("extra") or {}
    nothing_came = "stream" in extra and all(item["rows"] == 0 for item in inputs)
    idle = document.get("status") == "published" and nothing_came
    return "skipped" if idle or document.get("status") == "skipped" else "other"


def with_missing_judged(report: RunReport, writer_end: Callable[[str], WriterEnd]) -> RunReport:
    """Return a report, failed where it was skipped for lack of a table that should be there.

    Args:
        report: of a driver.
        writer_end: how a pipe has ended in the same run: ``skipped`` because it had nothing to do,
            ``running`` if it is a stream that has begun and not ended, else ``other``, also where
            it is not part of the run. Asked only for the writers of missing inputs.
    """
    note = report.extra.get(_KEY) if report.status == "skipped" else None
    if not isinstance(note, Mapping):
        return report
    gone = {
        entity_id: found
        for entity_id, found in note.items()
        if found["written_by"] is not None and writer_end(found["written_by"]) == "other"
    }
    if not gone:
        return report
    texts = [
        f"pipe {report.pipe_id!r}: input {entity_id!r} does not exist at {found['location']!r}; "
        f"pipe {found['written_by']!r} writes it, and was not skipped in this run for lack of data"
        f"\n  Fix: run pipe {found['written_by']!r} first; if it has run, look for what moved or "
        f"deleted the table, or for a warehouse or {PATH_TAG} that differs between the two."
        for entity_id, found in gone.items()
    ]
    return replace(
        report,
        status="failed",
        reason="",
        error=RunFailure("EntityError", "\n".join(texts)),
        extra=FrozenDict({**report.extra, "permanent": True}),
    )
