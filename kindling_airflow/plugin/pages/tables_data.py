"""What the page of a DAG's tables shows, from Airflow's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kindling_airflow.errors import KindlingAirflowError
from kindling_airflow.history import Usual, database, usual
from kindling_airflow.history.dag_gaps import DagGaps, gaps_of
from kindling_airflow.history.dag_pipes import StoredPipe
from kindling_airflow.history.fill_commands import as_text
from kindling_airflow.history.publications import Publication

__all__ = ["tables_document"]

_VERSIONS = 5
_MOST_CELLS = 100_000


def tables_document(dag_id: str, first: datetime, last: datetime) -> dict[str, Any]:
    """Return the page's data. A few queries, however many pipes.

    Args:
        dag_id: the DAG.
        first: the first date.
        last: the last date.

    Raises:
        KindlingAirflowError: the DAG is not stored.
    """
    stored = database.stored_dag(dag_id)
    if stored is None:
        raise KindlingAirflowError(f"DAG {dag_id!r} is not stored in Airflow's database")
    pipes = stored.pipes
    gaps, problem = _gaps(stored, first, last)
    newest = database.publications(dag_id, pipes, limit=max(500, _VERSIONS * len(pipes)))
    known, versions = usual(dag_id), _by_task(newest)
    return {
        "dag_id": dag_id,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "problem": problem,
        "slices": [] if gaps is None else gaps.to_json()["slices"],
        "gaps": 0 if gaps is None else gaps.grid.count,
        "commands": [] if gaps is None else [as_text(command) for command in gaps.commands],
        "tables": [_table(pipe, gaps, versions.get(pipe.task_id, ()), known) for pipe in pipes],
    }


def _gaps(
    stored: database.StoredDag, first: datetime, last: datetime
) -> tuple[DagGaps | None, str]:
    """Return the gaps, or why there are none to show."""
    try:
        found = gaps_of(stored, first, last)
    except KindlingAirflowError as error:
        return None, str(error)
    if len(found.grid.slots) * len(found.grid.pipes) > _MOST_CELLS:
        return None, "There are too many slices to show. Choose fewer days."
    return found, "" if found.grid.slots else "No interval of the schedule has ended between these."


def _by_task(publications: Sequence[Publication]) -> Mapping[str, list[Publication]]:
    found: dict[str, list[Publication]] = {}
    for item in publications:
        own = found.setdefault(item.task_id, [])
        if not item.is_skip and len(own) < _VERSIONS:
            own.append(item)
    return found


def _table(
    pipe: StoredPipe,
    gaps: DagGaps | None,
    versions: Sequence[Publication],
    known: Mapping[str, Usual],
) -> dict[str, Any]:
    pipe_id = versions[0].pipe_id if versions else pipe.pipe_id
    usual_rows = known[pipe_id].rows if pipe_id in known else None
    cells = () if gaps is None else gaps.grid.cells[pipe.pipe_id]
    return {
        "entity": pipe.writes or (versions[0].entity_id if versions else pipe.pipe_id),
        "usual_rows": None if usual_rows is None else round(usual_rows.median),
        "cells": [[cell.state.value, cell.why] for cell in cells],
        "versions": [
            {
                "run": item.run_id,
                "pipe": item.pipe_id,
                "slice": [] if item.interval is None else [t.isoformat() for t in item.interval],
                "rows": item.rows,
                "at": item.at.isoformat(),
                "location": item.location,
            }
            for item in versions
        ],
    }
