"""Builds DAGs as Airflow stores them, from a drawing of edges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MODULE = "kindling_airflow.operators.pipe"


def task(name: str, after: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """Return a stored task of a pipe."""
    found = {
        "task_id": name,
        "task_type": "KindlingPipeOperator",
        "_task_module": MODULE,
        "downstream_task_ids": after or [],
        "pool": "shop",
        **more,
    }
    return {"__var": found, "__type": "operator"}


def doc(pipe: str, reads: str = "nothing", writes: str | None = None) -> str:
    """Return a pipe's documentation."""
    return f"Pipe {pipe}: reads {reads}; writes {writes or pipe}."


def dag(tasks: list[Any], groups: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    """Return a stored DAG; tasks that are in no group are children of the root."""
    grouped = {name for names in (groups or {}).values() for name in names}
    children: dict[str, Any] = {
        group: ["taskgroup", {"children": {name: ["operator", name] for name in names}}]
        for group, names in (groups or {}).items()
    }
    alone = [t["__var"]["task_id"] for t in tasks if t["__var"]["task_id"] not in grouped]
    children |= {name: ["operator", name] for name in alone}
    return {"dag": {"tasks": tasks, "task_group": {"children": children}, "max_active_tasks": 4}}
