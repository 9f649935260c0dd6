"""Which slices of a DAG's entities are missing or stale: a grid of entities and runs.

    missing   no run has published the slice
    stale     an input's slice was published after the run had begun to read, or is missing or
              stale itself
    running   a run of the interval is under way
    skipped   the run had nothing to do, and has nothing to do still
    current   anything else
    replaced  a later run replaces the whole table, so it does not matter

Only inputs that the same DAG writes, and within the grid, are looked at. An input that was read by
slices is compared by these; one that was read as a whole, by the run of the same interval.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from kindling_airflow.history.dag_pipes import StoredPipe
from kindling_airflow.history.publications import Interval, Publication

__all__ = ["Cell", "CellState", "Grid", "Slot", "grid_of"]


class CellState(str, Enum):
    """The state of one slice."""

    CURRENT = "current"
    MISSING = "missing"
    STALE = "stale"
    SKIPPED = "skipped"
    RUNNING = "running"
    REPLACED = "replaced"

    @property
    def is_gap(self) -> bool:
        """Whether the slice has to be written."""
        return self in (CellState.MISSING, CellState.STALE)


@dataclass(frozen=True, slots=True)
class Slot:
    """One run of a schedule.

    Attributes:
        key: its logical date, or its partition.
        interval: its data interval.
        date: the time that Airflow compares with the dates of a backfill.
        state: the state of an existing run; "" for none.
        conf: the conf of an existing run.
    """

    key: str
    interval: Interval
    date: datetime
    state: str = ""
    conf: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One slice: its state, why it is stale, and what was published last."""

    state: CellState
    why: str = ""
    last: Publication | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """The slices of a DAG.

    Attributes:
        pipes: the pipes, each of which writes one entity.
        slots: the runs, earliest first.
        cells: by pipe, one cell for each slot.
    """

    pipes: tuple[StoredPipe, ...]
    slots: tuple[Slot, ...]
    cells: Mapping[str, tuple[Cell, ...]]

    def gaps(self, position: int) -> tuple[StoredPipe, ...]:
        """Return the pipes whose slices of one slot have to be written, in the plan's order."""
        return tuple(p for p in self.pipes if self.cells[p.pipe_id][position].state.is_gap)

    @property
    def count(self) -> int:
        """How many slices have to be written."""
        return sum(cell.state.is_gap for cells in self.cells.values() for cell in cells)


def grid_of(
    pipes: Sequence[StoredPipe],
    slots: Sequence[Slot],
    publications: Sequence[Publication],
) -> Grid:
    """Return the grid of a DAG's slices.

    Args:
        pipes: the pipes of the DAG.
        slots: the runs, earliest first.
        publications: what its runs have published and skipped, in any order.
    """
    found = _Finder(pipes, slots, publications)
    return Grid(
        tuple(pipes),
        tuple(slots),
        {p.pipe_id: tuple(found.cell(p, n) for n in range(len(slots))) for p in pipes},
    )


class _Finder:
    """Works out each cell once; inputs before what is read from them."""

    def __init__(
        self,
        pipes: Sequence[StoredPipe],
        slots: Sequence[Slot],
        publications: Sequence[Publication],
    ) -> None:
        self._slots = slots
        self._writers = {pipe.writes: pipe for pipe in pipes if pipe.writes}
        self._latest: dict[tuple[str, int], Publication] = {}
        self._cells: dict[tuple[str, int], Cell] = {}
        self._open: set[tuple[str, int]] = set()
        by_task = {pipe.task_id: pipe.pipe_id for pipe in pipes}
        self._whole = {
            by_task[p.task_id]
            for p in publications
            if p.mode == "overwrite" and p.task_id in by_task
        }
        for publication in sorted(publications, key=lambda p: p.at):
            pipe_id = by_task.get(publication.task_id)
            for n in () if pipe_id is None else self._covered(publication):
                self._latest[str(pipe_id), n] = publication

    def cell(self, pipe: StoredPipe, n: int) -> Cell:
        """Return the cell of a pipe and a slot."""
        key = pipe.pipe_id, n
        if key not in self._cells:
            self._open.add(key)
            self._cells[key] = self._found(pipe, n)
            self._open.discard(key)
        return self._cells[key]

    def _found(self, pipe: StoredPipe, n: int) -> Cell:
        last = self._latest.get((pipe.pipe_id, n))
        if pipe.pipe_id in self._whole and n < len(self._slots) - 1:
            return Cell(CellState.REPLACED, last=last)
        if self._slots[n].state in ("queued", "running"):
            return Cell(CellState.RUNNING, last=last)
        if last is None:
            return Cell(CellState.MISSING)
        why = self._stale(pipe, n, last)
        if why:
            return Cell(CellState.STALE, why, last)
        return Cell(CellState.SKIPPED if last.is_skip else CellState.CURRENT, last=last)

    def _stale(self, pipe: StoredPipe, n: int, last: Publication) -> str:
        for entity_id in dict.fromkeys((*pipe.reads, *last.inputs)):
            writer = self._writers.get(entity_id)
            if writer is None or writer.pipe_id == pipe.pipe_id:
                continue
            for m in self._read_slots(last.reads.get(entity_id), n):
                if (writer.pipe_id, m) in self._open:  # streams aside, plans have no cycles
                    continue
                cell = self.cell(writer, m)
                if cell.state.is_gap:
                    return f"{entity_id!r} of {self._slots[m].key} is {cell.state.value}"
                if cell.last is not None and not cell.last.is_skip and cell.last.at > last.began:
                    return f"{entity_id!r} of {self._slots[m].key} was published after it"
        return ""

    def _read_slots(self, read: Interval | None, n: int) -> Collection[int]:
        if read is None:
            return (n,)
        return [
            m
            for m, slot in enumerate(self._slots)
            if slot.interval[0] < read[1] and slot.interval[1] > read[0]
        ]

    def _covered(self, publication: Publication) -> Collection[int]:
        """Return the slots that a publication has written; one without interval, all so far."""
        interval = publication.interval
        if interval is None:
            return [n for n, s in enumerate(self._slots) if s.interval[1] <= publication.at]
        return [
            n
            for n, slot in enumerate(self._slots)
            if interval[0] <= slot.interval[0] and interval[1] >= slot.interval[1]
        ]
