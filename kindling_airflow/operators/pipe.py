"""The operator that runs one pipe: the Spark provider's own, with a request in and a report out."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    conf,
)

from kindling_airflow.contracts import RunReport, RunRequest, quality_lines
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.connections import hand_over
from kindling_airflow.operators.driver_process import adapt
from kindling_airflow.operators.parameters import run_parameters

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["KindlingPipeOperator"]

REPORT_KEY = "kindling_report"
_APPLICATION = Path(__file__).resolve().parent.parent / "runner" / "main.py"


class KindlingPipeOperator(SparkSubmitOperator):
    """Runs one pipe in a Spark driver of its own and succeeds only if its output was published.

    A driver that ends without a report of this attempt fails the task, whatever its exit status. A
    report of status ``skipped`` skips the task. The report is the task's XCom, under the keys
    ``kindling_report`` and ``return_value``.

    Args:
        pipe_id: the pipe.
        project_root: the folder that goes on the driver's import path.
        modules: what the driver imports for the declarations.
        warehouse: root of the entities' tables (templated); default: ``[kindling] warehouse``.
        plan_digest: the plan that the task was compiled from.
        connections: Airflow connections that the driver gets in its environment.
        package: zip that driver and executors take the project from, in place of the folder.
        package_digest: the digest of the manifest that it must be made of.
        pool_width: slots that the task's pool gets if it is missing; default: the DAG's
            ``max_active_tasks``.
        settings: what the deployment lays over the declarations, as
            :func:`kindling_airflow.project_settings.differences_for` says it.
        **kwargs: everything that ``SparkSubmitOperator`` takes.
    """

    template_fields: Sequence[str] = (*SparkSubmitOperator.template_fields, "warehouse")

    def __init__(
        self,
        *,
        pipe_id: str,
        project_root: str,
        modules: Sequence[str],
        warehouse: str | None = None,
        plan_digest: str = "",
        connections: Sequence[str] = (),
        package: str | None = None,
        package_digest: str = "",
        pool_width: int | None = None,
        settings: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"name": pipe_id, **kwargs})
        self._package = package
        self._package_digest = package_digest
        self.pipe_id = pipe_id
        self.warehouse = warehouse
        self.pool_width = pool_width
        self._project_root = project_root
        self._modules = tuple(modules)
        self._plan_digest = plan_digest
        self._connections = tuple(connections)
        self._settings = settings or {}
        self._report: RunReport | None = None
        self._report_error: ReportError | None = None

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """Return what the scheduler gets to know of the task: more than of others, its width."""
        own: frozenset[str] = super().get_serialized_fields()  # type: ignore[no-untyped-call]
        return own | {"pool_width"}

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Start the driver, wait for it, and judge by its report.

        Raises:
            AirflowSkipException: the pipe had nothing to do.
            AirflowException: the driver failed, or sent no report of this attempt.
        """
        request = self._request(context)
        self.application = str(_APPLICATION)
        self.application_args = [request.dumps()]
        if self._package is not None:
            self.py_files = ",".join(filter(None, (self.py_files, self._package)))
        driver_error: AirflowException | None = None
        try:
            super().execute(context)
        except AirflowException as error:  # judged below, beside the report
            driver_error = error
        return self._judge(context, request, driver_error)

    def _judge(
        self, context: Context, request: RunRequest, driver_error: AirflowException | None
    ) -> dict[str, Any]:
        report = self._report
        if report is not None and report.attempt_key == request.attempt_key:
            context["ti"].xcom_push(REPORT_KEY, report.to_json())
            if report.status == "published":
                if driver_error is not None:
                    self.log.warning(
                        "The output is published, but the driver ended badly: %s", driver_error
                    )
                self.log.info(
                    "Published %s: %s rows in %.1f s",
                    report.output_entity_id,
                    report.rows_written,
                    report.duration_seconds,
                )
                for line in quality_lines(report.to_json()):
                    self.log.warning("%s", line)
                return report.to_json()
            if report.status == "skipped":
                raise AirflowSkipException(f"Pipe {self.pipe_id!r} skipped: {report.reason}")
            raise _failure(report) from None
        reason = self._report_error or ReportError(
            _no_report_text(self.pipe_id, report, driver_error)
        )
        raise AirflowException(str(reason)) from driver_error

    def _request(self, context: Context) -> RunRequest:
        ti, dag_run = context["ti"], context["dag_run"]
        return RunRequest(
            attempt_key=uuid.uuid4().hex,
            pipe_id=self.pipe_id,
            project_root=self._project_root,
            modules=self._modules,
            warehouse=warehouse_root(self.warehouse),
            plan_digest=self._plan_digest,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            try_number=ti.try_number,
            interval_start=_iso(getattr(dag_run, "data_interval_start", None)),
            interval_end=_iso(getattr(dag_run, "data_interval_end", None)),
            settings=self._settings,
            parameters=run_parameters(context),
            package=self._package_digest if self._package is not None else "",
        )

    def _get_hook(self) -> SparkSubmitHook:
        return hand_over(adapt(super()._get_hook(), self._keep_report), self._connections)

    def _keep_report(self, text: str) -> None:
        try:
            self._report = RunReport.loads(text)
        except ReportError as error:
            self._report_error = error


def warehouse_root(configured: str | None) -> str:
    """Return the root of the tables: as configured, else ``[kindling] warehouse``.

    Where neither says anything it is the folder ``warehouse`` in AIRFLOW_HOME. A relative path
    starts from AIRFLOW_HOME.
    """
    from airflow.configuration import AIRFLOW_HOME

    root = configured or conf.get("kindling", "warehouse", fallback="") or "warehouse"
    return root if "://" in root else str(Path(AIRFLOW_HOME) / root)


def _failure(report: RunReport) -> AirflowException:
    error = report.error
    if error is None:
        return AirflowException(f"Pipe {report.pipe_id!r} failed and did not say why.")
    text = (
        f"Pipe {report.pipe_id!r} failed: {error.type}: {error.message}\n{error.traceback}".rstrip()
    )
    return AirflowFailException(text) if report.extra.get("permanent") else AirflowException(text)


def _no_report_text(
    pipe_id: str, stale: RunReport | None, driver_error: AirflowException | None
) -> str:
    ended = (
        f"The driver said: {driver_error}" if driver_error else "The driver ended with status 0."
    )
    what = (
        f"the report that came is of another attempt ({stale.attempt_key})"
        if stale is not None
        else "no report came from its driver"
    )
    return (
        f"Pipe {pipe_id!r}: {what}, so nothing proves that its output was published. {ended}\n"
        "  Fix: look for what ended the driver early (os._exit or sys.exit in the pipe, a killed "
        "process, no memory); in cluster deploy mode the driver's output does not reach the task."
    )


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())
