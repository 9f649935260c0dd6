"""The operator that runs one pipe: a request to a Spark driver, and its report back."""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    Asset,
    conf,
    redact,
)

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.common.pool_notes import uncounted_text
from kindling_airflow.deployment.project_package import uri_for_spark
from kindling_airflow.errors import ReportError
from kindling_airflow.manifest.project_code import CodeIdentity
from kindling_airflow.operators.driver.cluster_run import ClusterRun, NotSubmittedError
from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.failure_text import (
    driver_end,
    failure_lines,
    headline,
    no_report_lines,
    no_report_text,
)
from kindling_airflow.operators.driver.hidden_values import (
    hidden,
    keep_out_of_logs,
    masked,
    rendered,
    revealed,
)
from kindling_airflow.operators.driver.hook import DriverHook
from kindling_airflow.operators.driver.process_watch import ending_with_the_worker
from kindling_airflow.operators.driver.submitting import SubmittingOperator
from kindling_airflow.operators.links.buttons import (
    EntityLocationLink,
    SparkPagesLink,
    history_page,
    location_page,
)
from kindling_airflow.operators.links.urls import safe_url
from kindling_airflow.operators.openlineage import lineage_is_wanted, lineage_of_report
from kindling_airflow.operators.parameters import run_parameters
from kindling_airflow.operators.rendering import permanent_if_broken
from kindling_airflow.operators.run_history import keep_run, past_of, read_past
from kindling_airflow.operators.run_interval import run_interval
from kindling_airflow.operators.stored_fields import NOT_STORED, TemplateFields
from kindling_airflow.operators.upstream_reports import REPORT_KEY, writer_end
from kindling_airflow.protocol.contracts import RunReport, RunRequest, RunStart, quality_lines
from kindling_airflow.tags.inputs import with_missing_judged
from kindling_airflow.translator.task_ids import task_id as escaped

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kindling_airflow.common.run_figures import RunFigures
    from kindling_airflow.operators.shared_driver import SharedDriver

__all__ = ["KindlingPipeOperator", "application_name", "warehouse_root"]

_NOT_TEMPLATED = ("_archives", "_repositories", "executor_config")
_TIME_ORDERED = 7  # the version of such UUIDs
_APPLICATION = Path(__file__).resolve().parent.parent / "runner" / "main.py"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/+ \-]{0,199}")


class KindlingPipeOperator(SubmittingOperator):
    """Runs one pipe in its own Spark driver and succeeds only if the output was published.

    A driver that ends without a report of this attempt fails the task, whatever its exit status; a
    report of status ``skipped`` skips it. The report is pushed as the XComs ``kindling_report`` and
    ``return_value``.

    Args:
        pipe_id: the pipe.
        project_root: the folder that goes on the driver's import path.
        modules: what the driver imports for the declarations.
        warehouse: root of the entities' tables (templated); default: ``[kindling] warehouse``.
        plan_digest: the digest of the plan that the task was compiled from.
        connections: Airflow connections that the driver gets in its environment.
        package: zip that driver and executors import the project from, instead of the folder.
        package_digest: the digest of the manifest in the zip.
        pool_width: slots that the task's pool gets if it is missing; default: the DAG's
            ``max_active_tasks``.
        settings: the deployment's changes to the declarations, as returned by
            :func:`kindling_airflow.manifest.project_settings.differences_for`.
        session: the task of the session whose driver runs the pipe; "": its own driver. So it
            has where the session cannot be reached.
        on_missing_interval: what a run without a data interval does: ``full`` (process all data),
            ``fail``, or ``run_after`` (use the last interval of the DAG's schedule before it).
        durable: as in ``SparkSubmitOperator``; off by default for YARN in cluster mode without its
            API.
        **kwargs: arguments of ``SparkSubmitOperator``. ``application_args`` follow the run
            request; values of ``conf`` and ``env_vars`` whose keys name a secret, and passwords in
            any text, are hidden from Airflow's database, UI and logs.
    """

    template_fields = TemplateFields(*SubmittingOperator.template_fields, "warehouse")
    operator_extra_links = (SparkPagesLink(), EntityLocationLink())
    # Not set by the constructor, which is called for every task of a DAG at every parse.
    link_urls: Mapping[str, str] = EMPTY
    plan_drift: Mapping[str, str] = EMPTY  # digests of upstream tasks with another plan
    code = CodeIdentity()  # of the project; set as the task starts
    code_drift = "warn"
    _report: RunReport | None = None
    _report_error: ReportError | None = None
    session = ""
    _shared: SharedDriver | None = None  # in which it runs
    keeps_history = True
    _past: tuple[RunFigures, ...] = ()  # the last runs of the pipe

    pipe_id: str
    warehouse: str | None
    pool_width: int | None
    plan_digest: str
    on_missing_interval: str
    _package: str | None
    _package_digest: str
    _project_root: str
    _modules: tuple[str, ...]
    _connections: tuple[str, ...]
    _settings: Mapping[str, Any]

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
        on_missing_interval: str = "full",
        session: str = "",
        durable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if durable is not None:  # older providers do not know it
            kwargs["durable"] = durable
        super().__init__(**{"name": application_name(pipe_id), **kwargs})
        for name in super().template_fields:
            value = getattr(self, name, None)
            if value and (shown := hidden(value)) is not value:
                setattr(self, name, shown)
        if durable is not None or kwargs.get("reconnect_on_retry") is not None:
            self.durable_is_default = False
        vars(self).update(  # at once: each assignment costs Airflow a walk through its own rules
            pipe_id=pipe_id,
            warehouse=hidden(warehouse),
            pool_width=pool_width,
            plan_digest=plan_digest,
            on_missing_interval=on_missing_interval,
            _package=package,
            _package_digest=package_digest,
            _project_root=project_root,
            _modules=tuple(modules),
            _connections=tuple(connections),
            _settings=settings or {},
        )
        if session:
            self.session = session

    @classmethod
    def get_serialized_fields(cls) -> frozenset[str]:
        """Return the fields that the scheduler sees, among them the width of the pool."""
        own: frozenset[str] = super().get_serialized_fields()  # type: ignore[no-untyped-call]
        return (own | {"pool_width"}) - NOT_STORED

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render, and register secrets with Airflow before it stores or logs any of them."""
        with permanent_if_broken():
            super().render_template_fields(context, jinja_env)
            for name in self.template_fields:
                value = getattr(self, name, None)
                again = rendered(value, lambda text: self.render_template(text, context, jinja_env))
                setattr(self, name, again)
        fields = {name: getattr(self, name, None) for name in self.template_fields}
        fields |= {name: getattr(self, name, None) for name in _NOT_TEMPLATED}
        keep_out_of_logs(fields, self._settings)

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Start the driver, wait for it, and return its report.

        Raises:
            AirflowSkipException: the pipe had nothing to do.
            AirflowFailException: the driver failed, and a retry cannot succeed.
            AirflowException: the driver failed, or sent no report of this attempt.
        """
        self._ti = context["ti"]
        self._look_back()
        self.request = self._request(context)
        if self.session and self._ran_in_session(context, self.request):
            return self._judge(context, self.request, None)
        self._complete_arguments()
        driver_error: Exception | None = None
        try:
            with ending_with_the_worker(self.end_submission):
                super().execute(context)
        except (AirflowFailException, NotSubmittedError):
            raise
        except (AirflowException, RuntimeError) as error:  # judged below, with the report
            driver_error = error
        finally:
            if self._cluster is not None:
                self._conclude(self._cluster)
        return self._judge(context, self.request, driver_error)

    def _look_back(self) -> None:
        if self.keeps_history:
            self._past = read_past(self._ti, self.pipe_id)

    def _conclude(self, cluster: ClusterRun) -> None:
        """Log what the driver on a cluster has printed, take its report, and end its claim."""
        try:
            printed = cluster.output(is_killed=self.was_killed)
        except ReportError as error:
            self._report_error = error
            cluster.leave()
            return
        for line in self._output.lines((printed or "").splitlines()):
            self.log.info("%s", line)
        cluster.conclude()

    def resume_in_session(
        self, context: Context, event: Mapping[str, Any], place: Any, attempt_key: str, offset: int
    ) -> dict[str, Any]:
        """Continue when the attempt has ended that this task was deferred for.

        Args:
            context: the task's context.
            event: the trigger's: whether it has ended, or its driver is lost.
            place: where the driver of the session listens, as a JSON document.
            attempt_key: the attempt.
            offset: how much of its output is in the log.

        Raises:
            AirflowSkipException: as :meth:`execute`.
            AirflowFailException: as :meth:`execute`.
            AirflowException: as :meth:`execute`.
        """
        from kindling_airflow.operators.shared_driver import SharedDriver
        from kindling_airflow.triggers.session_access import SessionPlace

        self._ti = context["ti"]
        self._look_back()
        self.request = dataclasses.replace(self._request(context), attempt_key=attempt_key)
        found = SessionPlace.from_json(place)
        if found is None:
            raise AirflowException(f"Pipe {self.pipe_id!r}: its session is of another release.")
        self.log.info("The triggerer has handed the pipe back: it has %s.", event.get("state"))
        self._follow(SharedDriver(found, attempt_key, offset), can_defer=False)
        return self._judge(context, self.request, None)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002
        """Return what was read and written; Airflow's OpenLineage provider calls this."""
        return None if self._report is None else lineage_of_report(self._report)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return what is known of a task that failed: its error, if its driver has reported one."""
        return self.get_openlineage_facets_on_complete(task_instance)

    def on_kill(self) -> None:
        """Kill the driver, wherever it runs, or cancel the attempt in that of the session."""
        super().on_kill()
        if self._shared is not None:
            self._shared.cancel("its task was killed")

    def _complete_arguments(self) -> None:
        """Reveal what is hidden, and name the application and the package to spark-submit."""
        for name in SubmittingOperator.template_fields:
            setattr(self, name, revealed(getattr(self, name, None)))
        self.application = self.application or str(_APPLICATION)
        if self._package is not None:
            package = uri_for_spark(self._package, revealed(self.conf) or {})
            self.py_files = ",".join(filter(None, (self.py_files, package)))

    def _ran_in_session(self, context: Context, request: RunRequest) -> bool:
        """Run a request in the session of this run, if there is one; else say why there is none."""
        from kindling_airflow.operators.shared_driver import begin_in_session

        shared, refused = begin_in_session(self._ti, self.session, request)
        if shared is None:
            self.log.info(
                "Session %r does not run this pipe: %s. It starts its own driver.",
                self.session,
                refused,
            )
            return False
        self.log.info("Session %r runs this pipe.", self.session)
        self._follow(shared, can_defer=self._pool_counts_deferred(context))
        return True

    def _pool_counts_deferred(self, context: Context) -> bool:
        """Return whether the pipe keeps its slot while it is deferred: width holds only then."""
        note = getattr(context.get("dag_run"), "note", None) or ""
        return uncounted_text(self.pool) not in note

    def _time_left(self) -> timedelta | None:
        """Return how much of the task's ``execution_timeout`` is left; None without one."""
        limit: timedelta | None = self.execution_timeout
        began: datetime | None = getattr(self._ti, "start_date", None)
        if limit is None or began is None:
            return limit
        return max(limit - (datetime.now(timezone.utc) - began), timedelta(seconds=1))

    def _follow(self, shared: SharedDriver, *, can_defer: bool) -> None:
        """Log what an attempt prints until it has ended; after a while, wait in the triggerer."""
        from kindling_airflow.operators.shared_driver import wait_seconds

        self._shared = shared
        self._output = self._driver_output()
        seconds = wait_seconds() if can_defer else 0.0
        try:
            with ending_with_the_worker(lambda: shared.cancel("its worker has died")):
                for line in self._output.lines(shared.lines(seconds)):
                    self.log.info("%s", line)
        finally:
            shared.close()
        if shared.report is not None:
            self._keep_report(shared.report)
            return
        from kindling_airflow.triggers.session import SessionTrigger

        self.log.info("The pipe still runs after %g s: it is waited for in the triggerer.", seconds)
        self.defer(
            trigger=SessionTrigger(shared.place.to_json(), shared.attempt_key),
            method_name="resume_in_session",
            timeout=self._time_left(),
            kwargs={
                "place": shared.place.to_json(),
                "attempt_key": shared.attempt_key,
                "offset": shared.offset,
            },
        )

    def _judge(
        self, context: Context, request: RunRequest, driver_error: Exception | None
    ) -> dict[str, Any]:
        report = self._report
        if report is None or report.attempt_key != request.attempt_key:
            raise self._without_report(report, driver_error) from None
        if self._shared is None or self._ti.try_number > 1:  # else there was no other driver
            self.forget_driver(context)
        report = with_missing_judged(report, partial(writer_end, self._ti, self.pipe_id))
        document = report.to_json()
        document["extra"].pop("lineage", None)  # of no use in Airflow's database
        if self.plan_drift:
            document["extra"] = {**document["extra"], "earlier_plans": dict(self.plan_drift)}
        self._ti.xcom_push(REPORT_KEY, document)
        self._link_to(report)
        if report.status == "skipped":
            raise AirflowSkipException(f"Pipe {self.pipe_id!r} skipped: {report.reason}")
        if report.status == "failed":
            raise self._failure(report) from None
        if driver_error is not None:
            self.log.warning(
                "The output was published, but the driver failed. %s", driver_end(driver_error)
            )
        rows = "" if report.rows_written is None else f": {report.rows_written:,} rows"
        self.log.info(
            "Published %s%s in %.1f s", report.output_entity_id, rows, report.duration_seconds
        )
        if note := report.extra.get("note"):
            self.log.warning("%s", note)
        for line in (*report.extra.get("unusual", ()), *quality_lines(document)):
            self.log.warning("%s", line)
        if self.keeps_history:
            keep_run(self._ti, context.get("dag_run"), request, document, self._past)
        self._update_assets(context, document)
        return document

    def _without_report(
        self, stale: RunReport | None, driver_error: Exception | None
    ) -> AirflowException:
        if self.was_killed:
            return AirflowException(f"Pipe {self.pipe_id!r}: {self.killed_how or self._killed()}")
        output = getattr(self, "_output", None)  # there is none where no hook could be made
        tail = [] if output is None else output.last_lines()
        self._log_failure(
            no_report_lines(
                self.pipe_id, driver_error, tail, self._tries(permanent=False), self._log_places()
            )
        )
        reason = self._report_error or no_report_text(self.pipe_id, stale, driver_error)
        return AirflowException(str(reason))

    def _killed(self) -> str:
        """Return what is known of a driver that is this task's own process."""
        process = None if self._hook is None else self._hook.process
        if process is None or process.poll() is not None:
            return "the task was killed, and its driver with it."
        return (
            f"the task was killed. Whether its driver, process {process.pid}, has ended is not "
            "known."
        )

    def _failure(self, report: RunReport) -> AirflowException:
        permanent = bool(report.extra.get("permanent"))
        links = [f"{name}: {url}" for name, url in self.link_urls.items()] + self._log_places()
        self._log_failure(failure_lines(report, self._tries(permanent=permanent), links))
        return (AirflowFailException if permanent else AirflowException)(headline(report))

    def _log_places(self) -> list[str]:
        """Return where the log of a driver on a cluster is."""
        place = "" if self._cluster is None else self._cluster.log_place
        return [place] if place else []

    def _log_failure(self, lines: Sequence[str]) -> None:
        for line in lines:  # a record each, so that they are lines in the UI as well
            self.log.error("%s", line)

    def _tries(self, *, permanent: bool) -> str:
        if permanent:
            return "Not retried: a retry cannot succeed."
        number, most = self._ti.try_number, getattr(self._ti, "max_tries", None)
        if most is None or number > most:
            return f"Not retried: try {number} was the last."
        return f"To be retried: this was try {number} of {most + 1}."

    def _update_assets(self, context: Context, document: dict[str, Any]) -> None:
        """Add the report to the events of the assets that this task updates."""
        for asset in self.outlets:
            if isinstance(asset, Asset):
                event = context["outlet_events"][asset]
                event.extra = {**event.extra, REPORT_KEY: document}

    def _link_to(self, report: RunReport) -> None:
        """Point the buttons to the run's history and to the table."""
        conf = revealed(self.conf) or {}
        urls = {
            SparkPagesLink().name: history_page(conf, self._conn_id, report.application_id),
            EntityLocationLink().name: location_page(conf, report.location),
        }
        self.link_urls = {name: url for name, url in urls.items() if url}

    def _request(self, context: Context) -> RunRequest:
        start, end = run_interval(context, self.on_missing_interval) or (None, None)
        return dataclasses.replace(
            self._bare_request(context),
            attempt_order=_order_of(context["ti"]),
            interval_start=_iso(start),
            interval_end=_iso(end),
            on_missing_interval=self.on_missing_interval,
            parameters=run_parameters(context),
            code_digest=self.code.digest,
            code_drift=self.code_drift,
            lineage=lineage_is_wanted(),
            usual=past_of(self._past),
        )

    def _bare_request(self, context: Context) -> RunRequest:
        """Return a request of this task, without what the pipe is to be run for."""
        ti = context["ti"]
        return RunRequest(
            attempt_key=uuid.uuid4().hex,
            pipe_id=self.pipe_id,
            project_root=self._project_root,
            modules=self._modules,
            warehouse=warehouse_root(revealed(self.warehouse)),
            plan_digest=self.plan_digest,
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=_task_of(ti),
            try_number=ti.try_number,
            settings=self._settings,
            package=self._package_digest if self._package is not None else "",
            code_roots=self.code.roots,
        )

    def _get_hook(self) -> DriverHook:
        keep_out_of_logs(self.conf, self.env_vars)  # OpenLineage's key is among them by now
        hook = super()._get_hook()
        hook.output = self._output = self._driver_output()
        hook.hand_over(self._connections)
        return hook

    def _driver_output(self) -> DriverOutput:
        return DriverOutput(self._on_start, self._keep_report, masked)

    def _keep_report(self, text: str) -> None:
        try:
            # Secrets that the driver does not know, such as passwords of Airflow's connections.
            document = redact(RunReport.loads(text).to_json())
            self._report = RunReport.loads(json.dumps(document))
        except ReportError as error:
            self._report_error = error

    def _on_start(self, text: str) -> None:
        """Point the button to the driver's own pages while they exist."""
        try:
            start = RunStart.loads(text)
        except ReportError:
            return  # of another release, which the report is checked for
        if self.request is not None and start.attempt_key == self.request.attempt_key:
            self._on_page(start.ui_url)

    def _on_page(self, url: str) -> None:
        url = safe_url(url)
        if url and not self.link_urls:
            button = SparkPagesLink()
            self.link_urls = {button.name: url}
            self._ti.xcom_push(button.xcom_key, url)


def application_name(pipe_id: str) -> str:
    """Return the application name of a pipe: its id, escaped where that is not plain text.

    Airflow renders the name as a template, and it is an argument on a command line.
    """
    if _PLAIN_NAME.fullmatch(pipe_id):
        return pipe_id
    return f"pipe{name}" if (name := escaped(pipe_id)).startswith("-") else name


def warehouse_root(configured: str | None) -> str:
    """Return the root of the tables; default: ``[kindling] warehouse``, else ``warehouse``.

    A relative path starts from AIRFLOW_HOME.
    """
    from airflow.configuration import AIRFLOW_HOME

    root = configured or conf.get("kindling", "warehouse", fallback="") or "warehouse"
    return root if "://" in root else str(Path(AIRFLOW_HOME) / root)


def _order_of(ti: Any) -> str:
    """Return a key that orders a task instance's tries: the id of each, which begins with the time.

    The try number restarts at 1 when a run is deleted and created again.
    """
    ti_id = str(getattr(ti, "id", ""))
    with suppress(ValueError):
        if uuid.UUID(ti_id).version == _TIME_ORDERED:
            return uuid.UUID(ti_id).hex
    return f"{ti.try_number:09d}"


def _task_of(ti: Any) -> str:
    map_index = getattr(ti, "map_index", None)
    return ti.task_id if map_index in (None, -1) else f"{ti.task_id}[{map_index}]"


def _iso(time: Any) -> str | None:
    return None if time is None else str(time.isoformat())
