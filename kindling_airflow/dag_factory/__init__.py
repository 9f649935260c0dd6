"""Finds definition files and builds their DAGs, as the translator has specified them.

The public names are resolved when they are first used: this package can be imported without
Airflow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kindling_airflow.common.gc_pause import collector_paused

__all__ = ["kindling_dag", "kindling_task_group", "load_dags"]

_HOMES = {
    "kindling_dag": "factory",
    "kindling_task_group": "task_group",
    "load_dags": "factory",
}

if TYPE_CHECKING:
    from kindling_airflow.dag_factory.factory import kindling_dag, load_dags
    from kindling_airflow.dag_factory.task_group import kindling_task_group


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with collector_paused():  # else it would walk over all of Airflow, before each task
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
