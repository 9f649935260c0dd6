"""The last runs of a task's pipe: read from the task's newest XCom, and extended by its own run.

One request to the execution API reads the newest window of an earlier run, and one stores the own:
tasks cannot reach the database. A task that is cleared replaces its own XCom; a run that is older
than others, as in a backfill, sees only what was before it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from kindling_airflow.common.immutable import freeze
from kindling_airflow.common.run_figures import (
    HISTORY_KEY,
    RunFigures,
    figures_of,
    window_document,
    window_of,
    with_run,
)
from kindling_airflow.protocol.contracts import RunRequest

__all__ = ["keep_run", "past_of", "read_past"]

log = logging.getLogger(__name__)


def read_past(ti: Any, pipe_id: str) -> tuple[RunFigures, ...]:
    """Return the figures of earlier runs of a task's pipe, oldest first; none if unavailable."""
    try:
        document = ti.xcom_pull(
            task_ids=ti.task_id,
            key=HISTORY_KEY,
            map_indexes=getattr(ti, "map_index", -1),
            include_prior_dates=True,
        )
    except Exception as error:  # a history that cannot be read must not stop a run
        log.info("The last runs of pipe %r could not be read: %s", pipe_id, error)
        return ()
    found, runs = window_of(document)
    return tuple(run for run in runs if run.run_id != ti.run_id) if found == pipe_id else ()


def past_of(runs: Sequence[RunFigures]) -> Mapping[str, Any]:
    """Return earlier runs as a run request has them."""
    listed = [[run.seconds, run.rows, run.interval_seconds] for run in runs]
    frozen: Mapping[str, Any] = freeze({"runs": listed} if listed else {})
    return frozen


def keep_run(
    ti: Any,
    dag_run: Any,
    request: RunRequest,
    report: Mapping[str, Any],
    past: Sequence[RunFigures],
) -> None:
    """Store the window with the figures of a successful run as the task's XCom."""
    new = figures_of(
        report, ti.run_id, _order_of(dag_run), _seconds_since(ti), _interval_seconds(request)
    )
    try:
        ti.xcom_push(HISTORY_KEY, window_document(request.pipe_id, with_run(past, new)))
    except Exception as error:  # the output is published, and that is what counts
        log.warning("The figures of this run could not be stored: %s", error)


def _order_of(dag_run: Any) -> str:
    """Return what orders runs, as the execution API does: the logical date, or when it was due."""
    at = getattr(dag_run, "logical_date", None) or getattr(dag_run, "run_after", None)
    return "" if at is None else at.astimezone(timezone.utc).isoformat()


def _seconds_since(ti: Any) -> float:
    began: datetime | None = getattr(ti, "start_date", None)
    if began is None:
        return 0.0
    return max((datetime.now(timezone.utc) - began).total_seconds(), 0.0)


def _interval_seconds(request: RunRequest) -> float:
    if not request.interval_start or not request.interval_end:
        return 0.0
    start, end = map(datetime.fromisoformat, (request.interval_start, request.interval_end))
    return (end - start).total_seconds()
