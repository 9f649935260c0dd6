"""The provider's operator, changed so that a driver on a cluster is neither lost nor left behind.

In cluster deploy mode a driver outlives the process that submits it. So:

- Before anything is submitted it is known how its report comes back, and what kills it.
- The task writes a claim, and renews its lease while it watches; the driver publishes only while
  the claim stands.
- On YARN the resource manager's REST interface follows the driver and kills it. A retry takes up
  the driver of a try that was lost, or accepts its report.
- On Kubernetes and standalone clusters the provider follows the driver, and stores its id, so that
  a retry reattaches to a driver that still runs. A driver that has ended never counts for this try:
  a task that succeeded and is cleared starts one, as in every other deploy mode. Where the cluster
  cannot report the status of a driver, a new one is started; the old one does not publish.
- A log states that a driver is dead only after its end was seen.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    conf,
)

from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.cluster_run import ClusterRun, NotSubmittedError
from kindling_airflow.operators.driver.earlier_drivers import end_earlier_drivers
from kindling_airflow.operators.driver.hook import DriverHook
from kindling_airflow.operators.driver.report_channels import FolderChannel, report_channel
from kindling_airflow.operators.driver.task_claims import TaskClaims
from kindling_airflow.operators.driver.yarn import NoAnswerError, ResourceManager
from kindling_airflow.operators.driver.yarn_driver import YarnDriver, yarn_tag
from kindling_airflow.protocol.contracts import RunRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["SubmittingOperator"]

_PROVIDERS_KEYS = tuple(
    str(getattr(SparkSubmitOperator, name))
    for name in ("external_id_key", "_K8S_DRIVER_STATUS_KEY")
    if hasattr(SparkSubmitOperator, name)  # older providers store no driver
)
_ATTEMPT_KEY = "kindling_attempt"
_LOST = "LOST"
_LEASE_SECONDS = 60.0
_HEARTBEAT_TIMEOUT = 300.0
_LONGEST_PATIENCE = 3600.0
_LASTING = (ImportError, ValueError, NotImplementedError, PermissionError, AirflowNotFoundException)


class SubmittingOperator(SparkSubmitOperator):
    """Submits a run request, and reattaches to a driver only while it runs.

    Attributes:
        request: what is submitted; None before the task is executed.
        was_killed: the task was ended from outside.
        killed_how: what is known of the driver of a task that was ended.
        durable_is_default: whether to reattach was not configured.
    """

    # Not set by the constructor, which is called for every task of a DAG at every parse.
    request: RunRequest | None = None
    was_killed = False
    killed_how = ""
    durable_is_default = True
    _hook: DriverHook | None
    _cluster: ClusterRun | None = None
    _ti: Any = None

    def submit_job(self, context: Context) -> str | None:
        """Submit, and store whose report to wait for."""
        store = self._store(context)
        if store is not None and self.request is not None:
            for key in _PROVIDERS_KEYS:
                store.delete(key)  # of the previous driver
            store.set(_ATTEMPT_KEY, self.request.attempt_key)
        return super().submit_job(context)

    def poll_until_complete(self, external_id: Any, context: Context) -> None:
        """Wait for a driver: this try's own, or that of an earlier one that still runs."""
        store = self._store(context)
        if store is not None and self._cluster is not None:
            key = store.get(_ATTEMPT_KEY)
            if key:
                self._cluster.follow_earlier(key)
                self.request = self._cluster.request
        super().poll_until_complete(external_id, context)

    def get_job_status(self, external_id: Any, context: Context) -> str:
        """Return the status of an earlier try's driver, as the cluster reports it."""
        try:
            return super().get_job_status(external_id, context)
        except Exception as error:
            self.log.warning(
                "Could not determine the status of driver %s from an earlier attempt (%s); a new "
                "driver is started. Should the old one still run, it does not publish.",
                external_id,
                error,
            )
            return _LOST

    def is_job_succeeded(self, status: str) -> bool:  # noqa: ARG002 (interface)
        """Return False: only this try's own report counts."""
        return False

    def forget_driver(self, context: Context) -> None:
        """Delete the id of a driver that has ended; the next try starts one."""
        store = self._store(context)
        if store is not None:
            for key in (*_PROVIDERS_KEYS, _ATTEMPT_KEY):
                store.delete(key)

    def on_kill(self) -> None:
        """Kill the driver, wherever it runs, and log what is known of its end."""
        self.was_killed = True
        if self._cluster is None:
            if self._hook is not None:
                super().on_kill()
            return
        if not self.killed_how:
            is_on_yarn = self._cluster.yarn is not None
            if is_on_yarn:  # elsewhere the provider kills the driver while spark-submit runs
                self.end_submission()
            self.killed_how = self._cluster.kill(None if is_on_yarn else self._kill_by_provider)
            self.log.info("Ended from outside: %s", self.killed_how)

    def end_submission(self) -> None:
        """Kill the process that submits; in client and local mode it is the driver."""
        if self._hook is not None:
            self._hook.end_submission()

    def _get_hook(self) -> DriverHook:
        """Return the hook, with the run request as the driver's first argument."""
        hook = DriverHook.adopt(super()._get_hook())
        if conf.getboolean("kindling", "shared_warehouse", fallback=False):
            hook.share_disk()
        if self.request is not None:
            if hook.runs_on_cluster:
                self._cluster = self._prepare(hook)
            else:
                hook.before_submission = partial(end_earlier_drivers, self.request, self.log)
            hook.set_arguments([self.request.dumps(), *(self.application_args or ())])
        return hook

    def _prepare(self, hook: DriverHook) -> ClusterRun:
        """Check how the driver reports and what kills it, before anything is submitted.

        Raises:
            AirflowFailException: the deployment has to be changed; says what to set.
            NotSubmittedError: something does not answer.
        """
        assert self.request is not None  # noqa: S101 (the caller's condition)
        channel = self._channel(hook)
        yarn = self._yarn(hook) if hook.is_on_yarn else None
        hook.follow_by_api()
        lease = conf.getfloat("kindling", "lease_seconds", fallback=_LEASE_SECONDS)
        claims = TaskClaims(
            channel,
            self.request,
            lease=lease,
            is_wanted=self._is_wanted,
            unwanted=self._unwanted,
            log=self.log,
        )
        self.request = ClusterRun.prepared(
            self.request, channel, claims, lease, self._patience(lease)
        )
        run = ClusterRun(
            channel,
            claims,
            self.request,
            max_tries=_max_tries(self._ti),
            log=self.log,
            takes_up=self.durable_is_default or bool(getattr(self, "durable", True)),
            yarn=yarn,
        )
        if yarn is None:
            hook.before_submission = run.claim
        else:
            self.durable = False  # the provider's own way, which needs Airflow 3.3
            hook.tag_application(yarn_tag(self.request.attempt_key))
            hook.instead = lambda submit: self._run_on_yarn(run, hook, submit)
        return run

    def _run_on_yarn(self, run: ClusterRun, hook: DriverHook, submit: Any) -> None:
        try:
            run.run_on_yarn(submit, lambda: hook.application_id)
        finally:
            self.request = run.request

    def _channel(self, hook: DriverHook) -> FolderChannel:
        assert self.request is not None  # noqa: S101 (the caller's condition)
        try:
            channel = report_channel(self.request.warehouse, hook.variables)
            channel.check()
        except ReportError as error:
            lasts = isinstance(error.__cause__, _LASTING)
            raise (AirflowFailException if lasts else NotSubmittedError)(
                f"Nothing was submitted: {error}"
            ) from error
        return channel

    def _yarn(self, hook: DriverHook) -> YarnDriver | None:
        """Return the driver on YARN; None where the command ``yarn`` kills it."""
        assert self.request is not None  # noqa: S101 (the caller's condition)
        addresses = hook.resource_managers()
        if not addresses:
            is_durable = not self.durable_is_default and bool(getattr(self, "durable", False))
            if shutil.which("yarn") is not None and not is_durable:
                self.durable = False
                return None
            raise AirflowFailException(
                "Nothing was submitted: in cluster deploy mode nothing could kill the driver on "
                "YARN, because the address of its resource manager is not known\n"
                "  Fix: set yarn_resourcemanager_webapp_address in the extra of connection "
                f"{self._conn_id!r} (such as http://rm:8088), or [kindling] yarn_resource_manager, "
                "or HADOOP_CONF_DIR on the worker to a folder with yarn-site.xml; or use "
                "deploy_mode client."
            )
        manager = ResourceManager(addresses, hook.hadoop_user, hook.yarn_auth())
        try:
            manager.check()
        except NoAnswerError as error:
            raise NotSubmittedError(
                f"Nothing was submitted: YARN's resource manager does not answer: {error}\n"
                "  Fix: check its address, which is from the connection's extra "
                "yarn_resourcemanager_webapp_address, [kindling] yarn_resource_manager, or "
                "yarn-site.xml."
            ) from error
        return YarnDriver(
            manager,
            self.request.attempt_key,
            self.log,
            poll_seconds=float(self._status_poll_interval),
            on_page=self._on_page,
        )

    def _on_page(self, url: str) -> None:
        """Take the address of a driver's own pages."""

    def _patience(self, lease: float) -> float:
        """Return how long a driver waits for the next try to take it up, in seconds."""
        number, most = getattr(self._ti, "try_number", 1), _max_tries(self._ti)
        patience = 2 * lease
        if number <= most:
            timeout = conf.getfloat(
                "scheduler", "task_instance_heartbeat_timeout", fallback=_HEARTBEAT_TIMEOUT
            )
            patience += timeout + self.retry_delay.total_seconds()
        return min(patience, _LONGEST_PATIENCE)

    def _is_wanted(self) -> bool:
        """Return whether Airflow still runs this try."""
        ti = self._ti
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id])
        states = found.get(ti.run_id, {})
        return any(str(state) == "running" for state in states.values())

    def _unwanted(self) -> None:
        """End a driver whose task Airflow does not run any more, or which another has taken up."""
        self.log.warning(
            "This task was cut off for too long, and Airflow does not run it any more."
        )
        self.on_kill()

    def _kill_by_provider(self) -> tuple[bool, str]:
        hook = self._hook
        if hook is None:
            return True, "it was not submitted"
        if hook.is_untracked_on_yarn:
            return hook.kill_untracked()
        super().on_kill()
        return hook.seen_end()

    def _store(self, context: Context) -> Any:
        """Return where the provider stores drivers, or None where it does not."""
        return context.get("task_state_store") if getattr(self, "durable", False) else None


def _max_tries(ti: Any) -> int:
    found = getattr(ti, "max_tries", None)
    return found if isinstance(found, int) else -1
