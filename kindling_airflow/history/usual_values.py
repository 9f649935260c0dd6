"""The usual values of a pipe: medians and spreads of the figures of its last runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kindling_airflow.common.run_figures import RunFigures
from kindling_airflow.common.spread import Spread

__all__ = ["Usual"]


@dataclass(frozen=True, slots=True)
class Usual:
    """The usual values of a pipe.

    Attributes:
        seconds: of the driver, from the start of its Python to the end of publishing.
        task_seconds: of the task.
        rows: rows written.
        spill_bytes, shuffle_bytes: what Spark has spilled to disk, and written for shuffles.
        last: the newest of the runs.
    """

    seconds: Spread
    task_seconds: Spread | None
    rows: Spread | None
    spill_bytes: Spread | None
    shuffle_bytes: Spread | None
    last: RunFigures

    @classmethod
    def of(cls, runs: Iterable[RunFigures]) -> Usual | None:
        """Return the usual values of a pipe's runs, oldest first; None if there is none."""
        every = tuple(runs)
        seconds = Spread.of(run.seconds for run in every)
        if seconds is None:
            return None
        return cls(
            seconds,
            Spread.of(run.task_seconds or None for run in every),
            Spread.of(run.rows for run in every),
            Spread.of(run.spill_bytes for run in every),
            Spread.of(run.shuffle_bytes for run in every),
            every[-1],
        )

    def to_json(self) -> Mapping[str, Any]:
        """Return the values as a JSON document."""
        return asdict(self)
