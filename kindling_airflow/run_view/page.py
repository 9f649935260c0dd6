"""The page of a run: the drawing of ``plan_report``, and scripts that keep the run on it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from kindling_airflow.common.wording import counted
from kindling_airflow.plan_report.page import WebPage, web_page
from kindling_airflow.plan_report.page_data import one_line, page_data
from kindling_airflow.run_view.stored_plan import StoredPlan

__all__ = ["run_page", "run_page_data", "usual_figures"]

_SCRIPTS = ("run.js", "live.js", "run_panel.js", "poll.js")


def run_page_data(stored: StoredPlan) -> dict[str, Any]:
    """Return what the page of a run knows of its plan, without the run."""
    plan = stored.plan
    data = page_data(plan, stored.durations)
    numbers = {name: n for n, name in enumerate(plan.pipe_ids)}
    for shown, task in zip(data["pipes"], stored.pipes.values(), strict=True):
        shown |= {"task": task.task_id, "pool": task.pool, "slots": task.slots}
        if task.kind == "stream":
            shown["marks"] = ["stream"]
        if task.query:
            shown |= {"sql": task.query, "sqlTitle": "Query"}
        if stored.durations is None:
            shown["time"] = []
    if stored.durations is None:
        data["criticalTime"] = counted(len(data["critical"]), "pipe")
    facts = [counted(plan.total_pipes(), "pipe"), counted(plan.total_generations(), "generation")]
    # The digest would be that of what is stored, and not that of the plan.
    return data | {
        "facts": " in ".join(facts),
        "digest": "",
        "metadata": [],
        "others": [
            {
                "task": task.task_id,
                "label": one_line(task.label),
                "operator": one_line(task.operator),
                "before": [numbers[name] for name in stored.before[task.task_id]],
            }
            for task in stored.others
        ],
        "mostTasks": stored.most_tasks,
    }


def usual_figures(data: Mapping[str, Any], usual: Mapping[str, Any]) -> list[list[float | None]]:
    """Return for each pipe the usual seconds of its task, how they spread, and its usual rows.

    Args:
        data: the plan, from :func:`run_page_data`.
        usual: the usual values by pipe, as ``kindling_airflow.history.usual`` returns them.
    """
    found: list[list[float | None]] = []
    for shown in data["pipes"]:
        value = usual.get(shown["id"])
        spread = None if value is None else value.task_seconds or value.seconds
        if value is None or spread is None:
            found.append([])
        else:
            rows = None if value.rows is None else value.rows.median
            found.append([round(spread.median, 3), round(spread.mad, 3), rows])
    return found


def run_page(title: str, data: Mapping[str, Any], live: Mapping[str, Any]) -> WebPage:
    """Return the page.

    Args:
        title: the page's title.
        data: the plan, from :func:`run_page_data`.
        live: the run, the runs to choose from, and the first states.
    """
    return web_page(
        one_line(title),
        {**data, "live": live},
        scripts=[_asset(name) for name in _SCRIPTS],
        styles=[_asset("live.css")],
        asks_its_server=True,
    )


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8").strip()
