"""The figures of one run of a pipe, and the window of its last runs that travels as an XCom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

__all__ = [
    "HISTORY_KEY",
    "MOST_RUNS",
    "RunFigures",
    "figures_of",
    "window_document",
    "window_of",
    "with_run",
]

HISTORY_KEY = "kindling_history"
MOST_RUNS = 50
_NUMBERS = {"seconds", "task_seconds", "rows", "spill_bytes", "shuffle_bytes", "interval_seconds"}


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What one successful run of a pipe took and wrote.

    Attributes:
        run_id: the DAG run. A run that is cleared replaces its figures.
        at: what orders runs: the logical date, or the time at which the run was due; ISO 8601.
        seconds: from the start of the driver's Python to the end of publishing.
        task_seconds: from the start of the task to its report; what a pool's slot is taken for.
        rows: rows written; None where they are not known.
        spill_bytes, shuffle_bytes: what Spark has spilled to disk, and written for shuffles.
        interval_seconds: the length of the run's data interval; 0 for a run over everything.
    """

    run_id: str
    at: str
    seconds: float
    task_seconds: float = 0.0
    rows: int | None = None
    spill_bytes: int | None = None
    shuffle_bytes: int | None = None
    interval_seconds: float = 0.0


def figures_of(
    report: Mapping[str, Any],
    run_id: str,
    at: str,
    task_seconds: float = 0.0,
    interval_seconds: float = 0.0,
) -> RunFigures:
    """Return the figures in a report of a published output, as a JSON document."""
    spark = (report.get("extra") or {}).get("spark") or {}
    return RunFigures(
        run_id=run_id,
        at=at,
        seconds=float(report["duration_seconds"]),
        task_seconds=round(task_seconds, 3),
        rows=report["rows_written"],
        spill_bytes=spark.get("spill_bytes"),
        shuffle_bytes=spark.get("shuffle_bytes"),
        interval_seconds=interval_seconds,
    )


def with_run(runs: Iterable[RunFigures], new: RunFigures) -> tuple[RunFigures, ...]:
    """Return a window with one more run, of which the oldest drops out; each run counts once."""
    others = [run for run in runs if run.run_id != new.run_id]
    return tuple(sorted([*others, new], key=lambda run: (run.at, run.run_id))[-MOST_RUNS:])


def window_document(pipe_id: str, runs: Iterable[RunFigures]) -> dict[str, Any]:
    """Return a window as the JSON document of an XCom.

    >>> window_document("a", [RunFigures("r1", "2026-01-01", 4.5, rows=3)])
    {'pipe_id': 'a', 'runs': [{'run_id': 'r1', 'at': '2026-01-01', 'seconds': 4.5, 'rows': 3}]}
    """
    return {"pipe_id": pipe_id, "runs": [_shortened(run) for run in runs]}


def window_of(document: object) -> tuple[str, tuple[RunFigures, ...]]:
    """Return the pipe and the runs of a window; what this release cannot read is left out."""
    if not isinstance(document, Mapping) or not isinstance(document.get("pipe_id"), str):
        return "", ()
    listed = document.get("runs")
    runs = [_run(item) for item in listed] if isinstance(listed, list | tuple) else []
    return document["pipe_id"], tuple(run for run in runs if run is not None)


def _shortened(run: RunFigures) -> dict[str, Any]:
    return {
        name: value
        for name, value in asdict(run).items()
        if value is not None and (value != 0 or name in ("seconds", "rows"))
    }


def _run(item: object) -> RunFigures | None:
    if not isinstance(item, Mapping) or "seconds" not in item:
        return None
    known = {f.name: item[f.name] for f in fields(RunFigures) if f.name in item}
    fits = all(
        type(value) in (int, float) if name in _NUMBERS else isinstance(value, str)
        for name, value in known.items()
    )
    return RunFigures(**known) if fits and {"run_id", "at"} <= known.keys() else None
