"""Translates a plan into a ``DagSpec``, all that a DAG needs; ``translate`` is a pure function.

What needs a plan is imported when it is first used: a worker's task starts from a compiled
specification.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kindling_airflow.translator.assets import asset_identifier, asset_namespace
from kindling_airflow.translator.dag_spec import (
    DagSpec,
    EmptySpec,
    GateSpec,
    GroupSpec,
    NodeSpec,
    SessionSpec,
    StopSpec,
    StreamTask,
    TaskSpec,
)
from kindling_airflow.translator.options import Barrier, Closing, OnError, TranslateOptions
from kindling_airflow.translator.task_ids import group_id, task_id
from kindling_airflow.translator.task_settings import CALLBACKS, TAGS, TaskSettings

if TYPE_CHECKING:
    from kindling_airflow.translator.critical_path import priority_weights
    from kindling_airflow.translator.translation import translate

__all__ = [
    "CALLBACKS",
    "TAGS",
    "Barrier",
    "Closing",
    "DagSpec",
    "EmptySpec",
    "GateSpec",
    "GroupSpec",
    "NodeSpec",
    "OnError",
    "SessionSpec",
    "StopSpec",
    "StreamTask",
    "TaskSettings",
    "TaskSpec",
    "TranslateOptions",
    "asset_identifier",
    "asset_namespace",
    "group_id",
    "priority_weights",
    "task_id",
    "translate",
]

_HOMES = {"priority_weights": "critical_path", "translate": "translation"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
