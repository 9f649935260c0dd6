"""Explains why Airflow does not start a task whose asset is inactive.

Airflow keeps one asset active for each name and each URI. Where two DAGs declare the same name with
different URIs, or the same URI with different names, the asset of one is inactive. Its task fails
before it starts, with an error that only names the asset.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from airflow.listeners import hookimpl

__all__ = ["explanation", "on_task_instance_failed"]

log = logging.getLogger(__name__)
_ERROR = "AirflowInactiveAssetInInletOrOutletException"  # by name: it has moved between releases


@hookimpl
def on_task_instance_failed(
    previous_state: Any,  # noqa: ARG001 (the hook has all three)
    task_instance: Any,
    error: Any,
) -> None:
    """Log the explanation beside Airflow's own error."""
    task: Any = getattr(task_instance, "task", None)
    if type(error).__name__ == _ERROR and hasattr(task, "plan_digest"):
        log.error("%s", explanation(task.task_id, getattr(error, "inactive_asset_keys", ())))


def explanation(task_id: str, keys: Iterable[Any]) -> str:
    """Return why a task with inactive assets was not started.

    Args:
        task_id: the task.
        keys: the inactive assets, each with a name, a URI, or both.
    """
    names = [str(getattr(key, "name", None) or getattr(key, "uri", "?")) for key in keys]
    shown = ", ".join(map(repr, names)) or "of this task"
    example = names[0] if names else "..."
    return (
        f"Task {task_id!r} was not started, because asset {shown} is inactive: another DAG "
        "declares an asset of the same name with another URI, or of the same URI with another "
        "name, and Airflow keeps only one of them active. Nothing was read or written.\n"
        f"  Fix: declare it in the other DAG as Asset(name={example!r}, uri={example!r}), or set "
        "another prefix, or false, in the definition's key 'assets'. Then clear this task."
    )
