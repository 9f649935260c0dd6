"""DagSpec -> ``airflow.sdk.DAG``: one TaskGroup per generation, one operator per pipe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable, TaskGroup

from kindling_airflow.dag_factory.compile import Compiled
from kindling_airflow.dag_factory.task_doc import task_doc
from kindling_airflow.entity_checks import connections_of
from kindling_airflow.frozen import thaw
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.project_settings import differences_for
from kindling_airflow.translator import TaskSpec

__all__ = ["build_dag"]


def build_dag(compiled: Compiled, only_task: str | None = None) -> DAG:
    """Return the DAG of a compiled definition.

    Args:
        compiled: the definition and what follows from it.
        only_task: build the DAG with this task alone, as a worker needs it. An id that is none of
            the plan's builds the whole DAG.
    """
    dag = _empty_dag(compiled)
    spec = compiled.spec
    wanted = spec.find(only_task) if only_task is not None else None
    if isinstance(wanted, TaskSpec):
        _operator(compiled, wanted, dag)
        return dag
    operators: dict[str, KindlingPipeOperator] = {}
    for group_spec in spec.groups:
        group = TaskGroup(
            group_id=group_spec.group_id, prefix_group_id=False, tooltip=group_spec.tooltip, dag=dag
        )
        for task in group_spec.tasks:
            operators[task.task_id] = _operator(compiled, task, dag, group)
    for task in spec.tasks():
        if task.upstream:  # one call per task: each call looks at all ids of the DAG
            operators[task.task_id].set_upstream([operators[name] for name in task.upstream])
    return dag


def _empty_dag(compiled: Compiled) -> DAG:
    definition = compiled.definition
    timetable = (
        CronDataIntervalTimetable(definition.cron, timezone=definition.timezone)
        if definition.cron is not None
        else None
    )
    return DAG(
        dag_id=definition.dag_id,
        description=definition.description,
        doc_md=definition.doc_md,
        schedule=timetable,
        start_date=definition.start_date,
        catchup=definition.catchup,
        max_active_runs=definition.max_active_runs,
        max_active_tasks=compiled.spec.width,
        tags=sorted({"kindling", *definition.tags}),
    )


def _operator(
    compiled: Compiled, task: TaskSpec, dag: DAG, group: TaskGroup | None = None
) -> KindlingPipeOperator:
    definition, pipe = compiled.definition, compiled.plan.graph.nodes[task.pipe_id].metadata
    arguments: dict[str, Any] = thaw(definition.spark)
    if definition.owner is not None:
        arguments["owner"] = definition.owner
    return KindlingPipeOperator(
        task_id=task.task_id,
        dag=dag,
        task_group=group,
        pipe_id=task.pipe_id,
        project_root=str(definition.project_root),
        modules=compiled.manifest.modules,
        warehouse=definition.warehouse,
        plan_digest=compiled.spec.plan_digest,
        connections=connections_of(pipe, compiled.manifest.entities),
        package=definition.package,
        package_digest=compiled.base.digest,
        settings=differences_for(compiled.base, compiled.manifest, [task.pipe_id]),
        pool=task.settings.pool,
        pool_slots=task.settings.pool_slots,
        priority_weight=task.priority_weight,
        weight_rule="absolute",
        retries=task.settings.retries,
        retry_delay=timedelta(seconds=task.settings.retry_delay_seconds),
        trigger_rule=task.trigger_rule,
        **{**task_doc(pipe), **arguments},
    )
