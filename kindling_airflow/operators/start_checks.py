"""A run whose plan changes under it says so.

Each task is compiled anew as it starts, and each report holds the digest of its plan. A pipe
compares its own with those of the pipes that it reads from: wherever a run goes from one plan to
another, some data goes with it, and the pipe that reads it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["tells_of_earlier_plans"]

REPORT_KEY = "kindling_report"
_MOST = 10  # each costs a call to Airflow


def tells_of_earlier_plans(
    upstream_of: Callable[[str], Sequence[str]],
) -> Callable[[Context], None]:
    """Return what a pipe's task calls before it begins; it warns, and notes it for the report.

    Args:
        upstream_of: the tasks in front of a task, by their ids in the DAG.
    """

    def before_execution(context: Context) -> None:
        ti: Any = context["ti"]
        task, found = ti.task, {}
        for name in islice(upstream_of(ti.task_id), _MOST):
            digest = _digest(ti, name)
            if digest and digest != task.plan_digest:
                found[name] = digest
        if found:
            task.earlier_plans = found
            named = ", ".join(f"{name!r} ({digest})" for name, digest in found.items())
            task.log.warning(
                "The plan of this DAG has changed during the run. This task is of plan %s, "
                "earlier ones of another: %s. What they wrote is whole; whether the run should "
                "have begun anew is for you to say.",
                task.plan_digest,
                named,
            )

    return before_execution


def _digest(ti: Any, task_id: str) -> str:
    try:
        report = ti.xcom_pull(task_ids=task_id, key=REPORT_KEY)
    except Exception as error:  # a run is not worse off for what it cannot be told
        ti.task.log.debug("The report of %s cannot be had: %s", task_id, error)
        return ""
    return str(report.get("plan_digest") or "") if isinstance(report, dict) else ""
