"""The figures of one run of a pipe, and the window of its last runs that travels as an XCom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from itertools import product
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
MOST_RUNS = 30
_NUMBER, _COUNT = (int, float), (int, type(None))
# What the values of a run may be, in their order: as a set, because thousands of runs are read.
_KINDS = frozenset(product((str,), (str,), _NUMBER, _NUMBER, _COUNT, _COUNT, _COUNT, _NUMBER))
_LENGTH = 8


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
    """Return a window as the JSON document of an XCom: a list for each run, to keep it short.

    >>> window_document("a", [RunFigures("r1", "2026-01-01", 4.5, rows=3)])
    {'pipe_id': 'a', 'runs': [['r1', '2026-01-01', 4.5, 0.0, 3, None, None, 0.0]]}
    """
    return {"pipe_id": pipe_id, "runs": [list(astuple(run)) for run in runs]}


def window_of(document: object) -> tuple[str, tuple[RunFigures, ...]]:
    """Return the pipe and the runs of a window; what this release cannot read is left out."""
    if not isinstance(document, Mapping) or not isinstance(document.get("pipe_id"), str):
        return "", ()
    listed = document.get("runs")
    runs = [_run(item) for item in listed] if isinstance(listed, list | tuple) else []
    return document["pipe_id"], tuple(run for run in runs if run is not None)


def _run(item: object) -> RunFigures | None:
    """Return a run; one of a later release may have more at its end."""
    if not isinstance(item, list | tuple):
        return None
    values = item[:_LENGTH]
    return RunFigures(*values) if tuple(map(type, values)) in _KINDS else None
