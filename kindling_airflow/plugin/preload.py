"""Imports what DAG files need once, in the processes that fork a child for each parse or task.

The DAG processor forks for every parse of a file, and a scheduler with the LocalExecutor for every
task. Airflow's own modules are imported before that; the Spark provider and this package would be
imported by each child again, which is most of what the parse for a task costs.

Airflow calls ``on_starting`` while it makes the job, which does not have its type yet; the command
that the process was started with says which one it is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from airflow.listeners import hookimpl

__all__ = ["on_starting"]

log = logging.getLogger(__name__)

_ONE_TASK = (
    "kindling_airflow.dag_factory.factory",
    "kindling_airflow.dag_factory.build",
    "kindling_airflow.operators.session",
    "kindling_airflow.operators.shared_driver",
)
_COMMANDS = {"dag-processor": "DagProcessorJob", "scheduler": "SchedulerJob"}
_WHOLE_DAGS = (
    *_ONE_TASK,
    "kindling_airflow.definitions.compile",
    "kindling_airflow.translator.translation",
    "networkx",
)


@hookimpl
def on_starting(component: Any) -> None:
    """Import the modules, if the process that starts forks children that need them."""
    for name in modules_for(job_type_of(component, sys.argv)):
        try:
            import_module(name)
        except Exception as error:  # the child that needs it reports why
            log.debug("%s was not imported in advance: %s", name, error)


def job_type_of(component: Any, command: Sequence[str]) -> str | None:
    """Return which of Airflow's jobs starts.

    Args:
        component: what ``on_starting`` is called with.
        command: the process's arguments.
    """
    known: str | None = getattr(component, "job_type", None)
    return known or (_COMMANDS.get(command[1]) if len(command) > 1 else None)


def modules_for(job_type: str | None) -> tuple[str, ...]:
    """Return what to import in the process of one of Airflow's jobs; None is a task's process."""
    from airflow.configuration import conf

    if job_type not in ("DagProcessorJob", "SchedulerJob"):
        return ()
    if not conf.getboolean("kindling", "preload", fallback=True):
        return ()
    if job_type == "DagProcessorJob":
        return _WHOLE_DAGS
    return _ONE_TASK if "LocalExecutor" in conf.get("core", "executor") else ()
