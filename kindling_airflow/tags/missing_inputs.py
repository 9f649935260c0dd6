"""Inputs that are missing: outside data that has not come yet, or a table of this project.

    driver   skipped, and noted in its report: where the input should be, and which pipe writes it
    caller   knows how that pipe ended in this run
                 skipped, or a stream that runs    nothing has come yet: stays a skip
                 anything else                     the table should be there: fails

A driver cannot know it, because it has no connection to Airflow. The task that started it does, and
so does a session that runs several pipes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.protocol.contracts import RunFailure, RunReport

__all__ = ["WriterEnd", "end_of", "missing_note", "with_missing_judged"]

WriterEnd = Literal["skipped", "running", "other"]
_KEY = "missing_inputs"


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
    """Return a report, failed where it was skipped for want of a table that should be there.

    Args:
        report: of a driver.
        writer_end: how a pipe has ended in the same run: ``skipped`` because it had nothing to do,
            ``running`` if it is a stream that has begun and not ended, else ``other``, also where
            it is not part of the run. Asked only for the writers of missing inputs.
    """
    note = report.extra.get(_KEY) if report.status == "skipped" else None
    if not isinstance(note, Mapping):
        return report
    gone = [
        _text(report.pipe_id, entity_id, found)
        for entity_id, found in note.items()
        if found["written_by"] is not None and writer_end(found["written_by"]) == "other"
    ]
    return _failed(report, gone) if gone else report


def _text(pipe_id: str, entity_id: str, found: Mapping[str, Any]) -> str:
    writer = found["written_by"]
    return (
        f"pipe {pipe_id!r}: input {entity_id!r} does not exist at {found['location']!r}; pipe "
        f"{writer!r} writes it, and was not skipped in this run for want of data\n"
        f"  Fix: run pipe {writer!r} first; if it has run, look for what moved or deleted the "
        "table, or for a warehouse or provider.path that differs between the two."
    )


def _failed(report: RunReport, texts: Iterable[str]) -> RunReport:
    return replace(
        report,
        status="failed",
        reason="",
        error=RunFailure("EntityError", "\n".join(texts)),
        extra=FrozenDict({**report.extra, "permanent": True}),
    )
