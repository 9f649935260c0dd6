"""``durations`` and ``gaps``: what past runs of a DAG have taught, from Airflow's database."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kindling_airflow.cli.airflow_dates import airflow_date
from kindling_airflow.cli.inside_airflow import asked_of_database
from kindling_airflow.common.atomic_write import write_whole
from kindling_airflow.common.wording import counted
from kindling_airflow.errors import KindlingAirflowError, WrongCallError

if TYPE_CHECKING:
    from kindling_airflow.history.dag_gaps import DagGaps


def write_durations(args: argparse.Namespace) -> int:
    """Write the usual durations of a DAG's pipes."""
    found = asked_of_database(args, "durations", _durations)
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if args.output is None:
        print(text, end="")
        return 0
    try:
        write_whole(Path(args.output), text)
    except OSError as error:
        raise WrongCallError(f"cannot write {args.output!r}: {error.strerror}") from error
    print(args.output)
    return 0


def _durations(args: argparse.Namespace) -> dict[str, float]:
    from kindling_airflow.history import usual

    found = {
        pipe_id: round((value.task_seconds or value.seconds).median, 1) or 0.1
        for pipe_id, value in sorted(usual(args.dag_id).items())
    }
    if not found:
        raise KindlingAirflowError(
            f"no pipe of DAG {args.dag_id!r} has run successfully yet, as far as Airflow's "
            "database goes\n  Fix: correct the id, or run the DAG first."
        )
    return found


def show_gaps(args: argparse.Namespace) -> int:
    """Print the gaps; the status is 1 if there are any."""
    found = asked_of_database(args, "gaps", _gaps)
    print(json.dumps(found.to_json(), indent=2) if args.json else "\n".join(_lines(found)))
    return 1 if found.grid.count else 0


def _gaps(args: argparse.Namespace) -> DagGaps:
    from kindling_airflow.history.dag_gaps import dag_gaps

    first, last = airflow_date(args.from_date), airflow_date(args.to_date)
    if first > last:
        raise WrongCallError(f"--from {args.from_date} is after --to {args.to_date}")
    return dag_gaps(args.dag_id, first, last)


def _lines(found: DagGaps) -> Iterator[str]:
    grid = found.grid
    slices = counted(len(grid.slots), "slice")
    yield f"{found.dag_id!r}: {slices} of {counted(len(grid.pipes), 'pipe')}: " + (
        counted(grid.count, "gap")
    )
    for pipe in grid.pipes:
        for slot, cell in zip(grid.slots, grid.cells[pipe.pipe_id], strict=True):
            if cell.state.is_gap:
                why = f" ({cell.why})" if cell.why else ""
                yield f"  {pipe.writes or pipe.pipe_id}  {slot.key}  {cell.state.value}{why}"
    if found.commands:
        yield ""
    if len(found.commands) > 1:
        yield "Run each command after the backfill of the previous one has ended:"
    yield from found.texts()
