"""Where the seconds of a run went: starting the first driver, Spark's work, Airflow's.

    |- until a pipe is at work -|- slots: driver | task | idle -|- until the run has ended -|

The middle is shared out over the slots of the pool: what the pipes' drivers reported, the rest of
their tasks, and slots that waited for the scheduler, the executor or other pipes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

__all__ = ["run_breakdown"]


def run_breakdown(
    run: Mapping[str, Any],
    instances: Sequence[Mapping[str, Any]],
    driver_seconds: Mapping[str, float],
    slots: int,
) -> dict[str, float]:
    """Return the seconds of each part of a run, which add up to its wall clock.

    Args:
        run: the run, as Airflow's REST API has it.
        instances: the task instances of the pipes.
        driver_seconds: what the driver of each pipe reported, by task id; none of empty tasks.
        slots: the width of their pool.
    """
    began, ended = _time(run["start_date"]), _time(run["end_date"])
    at_work = min(_time(i["end_date"]) - driver_seconds.get(i["task_id"], 0.0) for i in instances)
    if not driver_seconds:
        at_work = min(_time(i["start_date"]) for i in instances)
    last = max(_time(i["end_date"]) for i in instances)
    driver = sum(driver_seconds.values())
    tasks = sum(_time(i["end_date"]) - max(_time(i["start_date"]), at_work) for i in instances)
    return {
        "until a pipe is at work": at_work - began,
        "drivers, per slot": driver / slots,
        "the rest of the tasks, per slot": (tasks - driver) / slots,
        "idle slots": last - at_work - tasks / slots,
        "until the run has ended": ended - last,
    }


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
