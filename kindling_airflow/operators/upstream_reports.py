"""Reports of other pipes of a run, which are XComs of their tasks."""

from __future__ import annotations

from typing import Any

from kindling_airflow.tags.inputs import WriterEnd, end_of
from kindling_airflow.translator.task_ids import task_id

__all__ = ["REPORT_KEY", "writer_end"]

REPORT_KEY = "kindling_report"
_ALIVE = frozenset({"running", "deferred", "up_for_retry", "restarting", "queued", "scheduled"})


def writer_end(ti: Any, reader: str, writer: str) -> WriterEnd:
    """Return how a pipe has ended in the run of a task instance; needed where an input is missing.

    A report states whether a pipe was skipped because it had nothing to do. A task that was skipped
    because it was not selected, or by a branch, has none.

    Args:
        ti: the task instance of the pipe that reads.
        reader: that pipe.
        writer: the pipe that writes. Its task may be in another group of the DAG.
    """
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    name = task_id(writer)
    own = f"{ti.task_id.removesuffix(task_id(reader))}{name}"
    if states.get(own) in _ALIVE:  # a stream; the readers of a batch pipe would not have started
        return "running"
    others = (t for t in states if t != own and (t == name or t.endswith(f".{name}")))
    for candidate in (own, *others):
        report = ti.xcom_pull(task_ids=candidate, key=REPORT_KEY) if candidate in states else None
        if isinstance(report, dict) and report.get("pipe_id") == writer:
            return end_of(report)
    return "other"
