"""Says why Airflow does not start a task whose asset is inactive, and what to do.

Airflow keeps one asset active for each name and each URI. Where another DAG declares the same name
with another URI, or the same URI with another name, the asset of one of them is inactive; its task
fails before it begins, without a try, in words that name the asset and nothing else.
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
    """Return why a task with inactive assets was not run.

    Args:
        task_id: the task.
        keys: the inactive assets, each with a name, a URI, or both.
    """
    names = [str(getattr(key, "name", None) or getattr(key, "uri", "?")) for key in keys]
    shown = ", ".join(map(repr, names)) or "one of its assets"
    example = names[0] if names else "..."
    return (
        f"Task {task_id!r} was not run, because Airflow holds {shown} as inactive: another DAG "
        "declares an asset of the same name with another URI, or of the same URI with another "
        "name, and only one of the two is active. Nothing was read or written.\n"
        "  Fix: let the other DAG declare it as this one does, "
        f"Asset(name={example!r}, uri={example!r}); or give the definition another prefix by the "
        "key 'assets', or 'assets: false'. Then clear this task."
    )
