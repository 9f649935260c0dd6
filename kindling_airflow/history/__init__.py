"""What past runs have taught: usual durations and amounts, unusual runs, missing slices.

Each successful task leaves the figures of its pipe's last runs as an XCom, so the newest XCom of a
pipe is its whole history (ADR 0046). Everything but :mod:`~kindling_airflow.history.database` is
pure. Which run is unusual is decided by tags, in the driver:
:mod:`kindling_airflow.tags.unusual`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.spread import Spread
from kindling_airflow.history.usual_values import Usual

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Spread", "Usual", "usual"]


def usual(
    dag_id: str, *, before: datetime | None = None, session: Session | Any = None
) -> Mapping[str, Usual]:
    """Return the usual values of the pipes of a DAG, by pipe id. Two queries, however many pipes.

    Pipes without a successful run are left out. Only where Airflow's database can be reached: on
    the API server, in the scheduler, in commands; tasks cannot.

    Args:
        dag_id: the DAG.
        before: look at runs of an earlier logical date only; default: at all.
        session: a session of Airflow's database; default: its own.
    """
    from kindling_airflow.history.database import latest_windows

    found = {
        pipe_id: Usual.of(runs) for pipe_id, runs in latest_windows(dag_id, before, session).items()
    }
    return {pipe_id: value for pipe_id, value in found.items() if value is not None}
