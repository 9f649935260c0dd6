"""HOW, on Airflow, decided: ``translate(plan, options) -> DagSpec``. Pure; no Airflow in it."""

from kindling_airflow.translator.assets import asset_identifier, asset_namespace
from kindling_airflow.translator.critical_path import priority_weights
from kindling_airflow.translator.dag_spec import (
    DagSpec,
    EmptySpec,
    GateSpec,
    GroupSpec,
    NodeSpec,
    StopSpec,
    StreamTask,
    TaskSpec,
)
from kindling_airflow.translator.options import Barrier, Closing, OnError, TranslateOptions
from kindling_airflow.translator.task_ids import group_id, task_id
from kindling_airflow.translator.task_settings import CALLBACKS, TAGS, TaskSettings
from kindling_airflow.translator.translate import translate

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
