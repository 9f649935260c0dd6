"""DagSpec -> ``airflow.sdk.DAG``: its tasks, and what holds for the DAG and its runs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow import sdk as airflow_sdk
from airflow.configuration import conf
from airflow.sdk import DAG, Param

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.redaction import without_secrets
from kindling_airflow.common.shared_ids import SELECT_PARAM
from kindling_airflow.dag_factory.schedules import airflow_schedule
from kindling_airflow.dag_factory.tasks import TaskBuilder
from kindling_airflow.definitions.dag_parts import DagParts, dag_parts
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.params import param_parts
from kindling_airflow.definitions.python_objects import put_back
from kindling_airflow.definitions.references import References
from kindling_airflow.definitions.times import CONTINUOUS, CONTINUOUS_START
from kindling_airflow.translator import NodeSpec

if TYPE_CHECKING:
    from kindling_airflow.definitions.compile import Compiled

sdk: Any = airflow_sdk  # names that it resolves when they are used are unknown to type checkers
_MOST_FAILURES = 3  # of runs that begin as soon as the one before is over, endlessly
_RUN_CALLBACKS = ("on_failure_callback", "on_success_callback")


def build_dag(compiled: Compiled, only_task: str | None = None) -> DAG:
    """Return the DAG of a compiled definition.

    Args:
        compiled: the definition and what follows from it.
        only_task: build the DAG with this task alone, as a worker needs it. An id that is not in
            the plan builds the whole DAG.

    Raises:
        DefinitionError: a reference of the definition cannot be resolved.
    """
    parts = dag_parts(compiled)
    wanted = compiled.spec.find(only_task) if only_task is not None else None
    if wanted is not None:
        return build_task(parts, wanted)
    references = References(compiled.definition)
    dag = _empty_dag(parts, references)
    TaskBuilder(parts, dag, references).build_all(compiled)
    return dag


def build_task(parts: DagParts, task: NodeSpec) -> DAG:
    """Return the DAG of a definition with one task alone, as a worker needs it.

    Raises:
        DefinitionError: a reference of the definition cannot be resolved.
    """
    references = References(parts.definition)
    dag = _empty_dag(parts, references)
    TaskBuilder(parts, dag, references).build_one(task)
    return dag


def _empty_dag(parts: DagParts, references: References) -> DAG:
    definition = parts.definition
    schedule = airflow_schedule(definition, parts.outline)
    starts_at_once = schedule == CONTINUOUS and definition.start_date is None
    return DAG(
        dag_id=definition.dag_id,
        schedule=schedule,
        start_date=CONTINUOUS_START if starts_at_once else definition.start_date,
        catchup=definition.catchup,
        max_active_runs=definition.max_active_runs,
        max_active_tasks=parts.outline.max_active_tasks,
        tags=sorted({"kindling", *definition.tags}),
        params=_params(parts),
        **_run_arguments(definition, references, is_endless=schedule == CONTINUOUS),
        **{name: _shown(value) for name, value in definition.dag_arguments.items() if value != {}},
    )


def _shown(value: Any) -> Any:
    return without_secrets(value) if isinstance(value, str) else thaw(value)


def _params(parts: DagParts) -> dict[str, Any]:
    definition = parts.definition
    found: dict[str, Any] = {} if parts.outline.stop else {SELECT_PARAM: _choice()}
    for name, param in put_back(definition.params, definition.objects).items():
        if isinstance(param, Mapping):
            itself, schema = param_parts(param)
            found[name] = Param(**itself, schema=schema)
        else:
            found[name] = param
    return found


def _choice() -> Param:
    """Return the param that selects the pipes of a run; Airflow has a form for it."""
    return Param(
        None,
        type=["null", "string"],
        title="Only these pipes",
        description="Pipes by id, glob, tag:, entity:, +x, x+. The others are left as they are. "
        "Empty: all.",
    )


def _run_arguments(
    definition: Definition, references: References, *, is_endless: bool
) -> dict[str, Any]:
    settings = definition.dag_run
    found: dict[str, Any] = {
        key: references.callbacks(settings[key], ("dag_run", key))
        for key in _RUN_CALLBACKS
        if key in settings
    }
    if "timeout_seconds" in settings:
        found["dagrun_timeout"] = timedelta(seconds=settings["timeout_seconds"])
    if "max_consecutive_failed" in settings:
        found["max_consecutive_failed_dag_runs"] = settings["max_consecutive_failed"]
    elif is_endless and not conf.getint("core", "max_consecutive_failed_dag_runs_per_dag"):
        found["max_consecutive_failed_dag_runs"] = _MOST_FAILURES
    if "deadline" in settings:
        alerts = put_back(settings["deadline"], definition.objects)
        alerts = alerts if isinstance(alerts, list) else [alerts]
        found["deadline"] = [_alert(alert, references) for alert in alerts]
    return found


def _alert(alert: Any, references: References) -> Any:
    """Return a deadline as Airflow has it; one that comes from Python as such is left alone."""
    if not isinstance(alert, Mapping):
        return alert
    called = references.get(alert["callback"], ("dag_run", "deadline", "callback"))
    callback = sdk.AsyncCallback if inspect.iscoroutinefunction(called) else sdk.SyncCallback
    named = {
        "queued_at": sdk.DeadlineReference.DAGRUN_QUEUED_AT,
        "logical_date": sdk.DeadlineReference.DAGRUN_LOGICAL_DATE,
    }
    reference = named.get(alert["reference"])
    if alert["reference"] == "average_runtime":
        reference = sdk.DeadlineReference.AVERAGE_RUNTIME()
    elif reference is None:
        moment = iso_datetime(alert["reference"])
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
        reference = sdk.DeadlineReference.FIXED_DATETIME(aware)
    return sdk.DeadlineAlert(
        reference=reference,
        interval=timedelta(seconds=alert["interval_seconds"]),
        callback=callback(called, dict(alert.get("kwargs", {}))),
    )
