"""The provider's operator, so that a task that runs again does run again, and kills its driver.

In the deploy modes in which the provider follows a driver on a cluster it remembers the driver, so
that a try after the loss of a worker takes up a driver that is still at work. That is kept here.
What differs:

- A driver that has ended is never taken for the work of this try. A task that succeeded and is
  cleared starts a driver, as it does in every other deploy mode.
- A driver whose fate the cluster cannot tell does not stop its task for ever: a new one is started,
  and should the old one live, it does not publish (see ``runner/claims.py``).
- YARN in cluster mode works with default arguments: without the resource manager's API there is
  nothing to remember, and spark-submit waits for the end of the application.
- The driver on YARN is killed with its task with or without that API.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

from kindling_airflow.operators.driver.report_file import report_path
from kindling_airflow.protocol.contracts import RunRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["SubmittingOperator", "runs_on_cluster"]

_PROVIDERS_KEYS = tuple(
    str(getattr(SparkSubmitOperator, name))
    for name in ("external_id_key", "_K8S_DRIVER_STATUS_KEY")
    if hasattr(SparkSubmitOperator, name)  # older providers remember no driver
)
_ATTEMPT_KEY = "kindling_attempt"
_WAREHOUSE_KEY = "kindling_warehouse"
_LOST = "LOST"


class SubmittingOperator(SparkSubmitOperator):
    """Submits a run request, and takes up a driver only if it is at work.

    Attributes:
        request: what is submitted; None before the task is executed.
        was_killed: the task was ended from outside.
        durable_is_default: nobody has said whether a driver is to be taken up.
    """

    # Not set by the constructor, which is called for every task of a DAG at every parse.
    request: RunRequest | None = None
    was_killed = False
    durable_is_default = True

    def submit_job(self, context: Context) -> str | None:
        """Submit, and remember whose report to wait for."""
        store = self._store(context)
        if store is not None and self.request is not None:
            for key in _PROVIDERS_KEYS:
                store.delete(key)  # of the driver before, which is no longer of interest
            store.set(_ATTEMPT_KEY, self.request.attempt_key)
            store.set(_WAREHOUSE_KEY, self.request.warehouse)
        return super().submit_job(context)

    def poll_until_complete(self, external_id: Any, context: Context) -> None:
        """Wait for a driver: this try's own, or that of an earlier one that is still at work."""
        store = self._store(context)
        if store is not None and self.request is not None:
            key = store.get(_ATTEMPT_KEY) or self.request.attempt_key
            warehouse = store.get(_WAREHOUSE_KEY) or self.request.warehouse
            self.request = dataclasses.replace(
                self.request, attempt_key=key, report_path=report_path(warehouse, key)
            )
        super().poll_until_complete(external_id, context)

    def get_job_status(self, external_id: Any, context: Context) -> str:
        """Return what the cluster says of an earlier try's driver."""
        try:
            return super().get_job_status(external_id, context)
        except Exception as error:
            self.log.warning(
                "What became of driver %s of an earlier try cannot be told (%s); another one is "
                "started. Should the old one live, it does not publish.",
                external_id,
                error,
            )
            return _LOST

    def is_job_succeeded(self, status: str) -> bool:  # noqa: ARG002 (interface)
        """Return False: only this try's own report counts."""
        return False

    def forget_driver(self, context: Context) -> None:
        """Forget a driver that has ended; the next try starts one."""
        store = self._store(context)
        if store is not None:
            for key in (*_PROVIDERS_KEYS, _ATTEMPT_KEY, _WAREHOUSE_KEY):
                store.delete(key)

    def on_kill(self) -> None:
        """Kill the driver, wherever it runs."""
        self.was_killed = True
        hook = self._hook
        if hook is None:
            return
        if not _is_untracked_on_yarn(hook):
            super().on_kill()
            return
        # The provider would ask the resource manager's API alone, which need not be configured.
        try:
            hook.on_kill()
        except OSError as error:
            self.log.warning("The command 'yarn' cannot be run: %s", error)
            if hook._yarn_application_id:
                hook._kill_yarn_application(hook._yarn_application_id)

    def end_submission(self) -> None:
        """Kill the process that submits; in client and local mode it is the driver."""
        process = getattr(self._hook, "_submit_sp", None)
        if process is not None and process.poll() is None:
            process.kill()

    def _get_hook(self) -> SparkSubmitHook:
        """Return the provider's hook, with the run request as the driver's first argument."""
        hook = super()._get_hook()
        if self.request is not None:
            if runs_on_cluster(hook):
                path = report_path(self.request.warehouse, self.request.attempt_key)
                self.request = dataclasses.replace(self.request, report_path=path)
            hook._application_args = [self.request.dumps(), *(self.application_args or ())]
        if _is_untracked_on_yarn(hook) and self.durable_is_default:
            self.durable = False
        return hook

    def _store(self, context: Context) -> Any:
        """Return where the provider remembers drivers, or None where it does not."""
        return context.get("task_state_store") if getattr(self, "durable", False) else None


def runs_on_cluster(hook: SparkSubmitHook) -> bool:
    """Tell whether the driver runs elsewhere, so that what it prints does not reach the task."""
    said = (hook._connection["deploy_mode"], hook._conf.get("spark.submit.deployMode"))
    return "cluster" in said


def _is_untracked_on_yarn(hook: SparkSubmitHook) -> bool:
    """Tell whether the driver runs on YARN and the resource manager's API is not asked about it."""
    on_yarn = hook._is_yarn and hook._connection["deploy_mode"] == "cluster"
    return on_yarn and not getattr(hook, "_yarn_track_via_rm_api", False)
