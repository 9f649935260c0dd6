"""The grid of a DAG's slices, from Airflow's database: four queries, however many pipes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from kindling_airflow.errors import KindlingAirflowError
from kindling_airflow.history import database
from kindling_airflow.history.fill_commands import as_text, fill_commands, timestamp
from kindling_airflow.history.gaps import Cell, Grid, grid_of
from kindling_airflow.history.publications import Publication
from kindling_airflow.history.slots import slots_between

__all__ = ["DagGaps", "dag_gaps", "gaps_of"]


@dataclass(frozen=True, slots=True)
class DagGaps:
    """The slices of a DAG between two dates, and the commands that write what is missing."""

    dag_id: str
    grid: Grid
    commands: tuple[tuple[str, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the gaps as a JSON document."""
        return {
            "dag_id": self.dag_id,
            "slices": [_slot_json(slot) for slot in self.grid.slots],
            "gaps": [
                {
                    "entity": pipe.writes or (cell.last.entity_id if cell.last else ""),
                    "pipe": pipe.pipe_id,
                    "slice": slot.key,
                    "state": cell.state.value,
                    "why": cell.why,
                }
                for pipe in self.grid.pipes
                for slot, cell in zip(self.grid.slots, self.grid.cells[pipe.pipe_id], strict=True)
                if cell.state.is_gap
            ],
            "commands": [list(command) for command in self.commands],
        }

    def texts(self) -> list[str]:
        """Return the commands as lines for a shell."""
        return [as_text(command) for command in self.commands]


def dag_gaps(
    dag_id: str,
    first: datetime,
    last: datetime,
    *,
    now: datetime | None = None,
    session: Any = None,
) -> DagGaps:
    """Return the grid of a DAG.

    Args:
        dag_id: the DAG.
        first: the first date, as ``airflow backfill create`` takes it.
        last: the last date.
        now: the time; default: the current.
        session: a session of Airflow's database; default: its own.

    Raises:
        KindlingAirflowError: the DAG is not stored, or has no pipes or no schedule in time.
    """
    stored = database.stored_dag(dag_id, session)
    if stored is None:
        raise KindlingAirflowError(
            f"DAG {dag_id!r} is not stored in Airflow's database\n"
            "  Fix: correct the id, or wait until the DAG processor has read its file."
        )
    return gaps_of(stored, first, last, now=now, session=session)


def gaps_of(
    stored: database.StoredDag,
    first: datetime,
    last: datetime,
    *,
    now: datetime | None = None,
    session: Any = None,
) -> DagGaps:
    """Return the grid of a DAG that was read already; otherwise as :func:`dag_gaps`."""
    dag, pipes = stored.dag, stored.pipes
    dag_id = str(dag.dag_id)
    if not pipes:
        raise KindlingAirflowError(
            f"DAG {dag_id!r} has no batch pipes\n  Fix: name a DAG that this package has compiled."
        )
    partitioned = getattr(dag.timetable, "partitioned", False)
    if not (dag.timetable.periodic or partitioned):
        raise KindlingAirflowError(
            f"DAG {dag_id!r} has no schedule in time, so its tables have no slices to look for\n"
            "  Fix: set a cron expression, 'every' or 'partitions' in its definition."
        )
    moment = datetime.now(timezone.utc) if now is None else now
    runs = database.runs_between(dag_id, first, last, session)
    slots = slots_between(dag, first, last, moment, runs)
    found: tuple[Publication, ...] = ()
    if slots:
        begin, end = slots[0].interval[0], slots[-1].interval[1]
        found = database.publications(dag_id, pipes, first=begin, last=end, session=session)
    grid = grid_of(pipes, slots, found)
    return DagGaps(dag_id, grid, fill_commands(dag_id, grid))


def _slot_json(slot: Any) -> dict[str, Any]:
    return {
        "slice": slot.key,
        "interval_start": timestamp(slot.interval[0]),
        "interval_end": timestamp(slot.interval[1]),
        "run_state": slot.state or None,
    }


def cell_text(cell: Cell) -> str:
    """Return a cell's state with its reason."""
    return f"{cell.state.value}: {cell.why}" if cell.why else cell.state.value
