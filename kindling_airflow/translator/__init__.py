"""HOW, on Airflow, decided: ``translate(plan, options) -> DagSpec``. Pure; no Airflow in it."""

from kindling_airflow.translator.critical_path import priority_weights
from kindling_airflow.translator.dag_spec import DagSpec, GroupSpec, TaskSpec
from kindling_airflow.translator.options import TranslateOptions
from kindling_airflow.translator.task_ids import group_id, task_id
from kindling_airflow.translator.translate import translate

__all__ = [
    "DagSpec",
    "GroupSpec",
    "TaskSpec",
    "TranslateOptions",
    "group_id",
    "priority_weights",
    "task_id",
    "translate",
]
