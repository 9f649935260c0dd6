"""The provider's operator, changed so that a re-run task starts a new driver and kills it.

In the deploy modes in which the provider follows a driver on a cluster it stores the driver's id,
so that a retry after the loss of a worker reattaches to a driver that still runs. That is kept.
What differs:

- A driver that has ended never counts for this try. A task that succeeded and is cleared starts a
  driver, as in every other deploy mode.
- Where the cluster cannot report the status of a driver, a new one is started. Should the old one
  still run, it does not publish, because the newer attempt holds the claim on the table.
- YARN in cluster mode works with default arguments: without the resource manager's API no id is
  stored, and spark-submit waits for the end of the application.
- The driver on YARN is killed with its task, with or without that API.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

from kindling_airflow.operators.driver.hook import DriverHook
from kindling_airflow.operators.driver.report_file import report_path
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
_WAREHOUSE_KEY = "kindling_warehouse"
_LOST = "LOST"


class SubmittingOperator(SparkSubmitOperator):
    """Submits a run request, and reattaches to a driver only while it runs.

    Attributes:
        request: what is submitted; None before the task is executed.
        was_killed: the task was ended from outside.
        durable_is_default: whether to reattach was not configured.
    """

    # Not set by the constructor, which is called for every task of a DAG at every parse.
    request: RunRequest | None = None
    was_killed = False
    durable_is_default = True
    _hook: DriverHook | None

    def submit_job(self, context: Context) -> str | None:
        """Submit, and store whose report to wait for."""
        store = self._store(context)
        if store is not None and self.request is not None:
            for key in _PROVIDERS_KEYS:
                store.delete(key)  # of the previous driver
            store.set(_ATTEMPT_KEY, self.request.attempt_key)
            store.set(_WAREHOUSE_KEY, self.request.warehouse)
        return super().submit_job(context)

    def poll_until_complete(self, external_id: Any, context: Context) -> None:
        """Wait for a driver: this try's own, or that of an earlier one that still runs."""
        store = self._store(context)
        if store is not None and self.request is not None:
            key = store.get(_ATTEMPT_KEY) or self.request.attempt_key
            warehouse = store.get(_WAREHOUSE_KEY) or self.request.warehouse
            self.request = dataclasses.replace(
                self.request, attempt_key=key, report_path=report_path(warehouse, key)
            )
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
            for key in (*_PROVIDERS_KEYS, _ATTEMPT_KEY, _WAREHOUSE_KEY):
                store.delete(key)

    def on_kill(self) -> None:
        """Kill the driver, wherever it runs."""
        self.was_killed = True
        if self._hook is not None and self._hook.is_untracked_on_yarn:
            # The provider would ask the resource manager's API alone, which need not be configured.
            self._hook.kill_untracked()
        elif self._hook is not None:
            super().on_kill()

    def end_submission(self) -> None:
        """Kill the process that submits; in client and local mode it is the driver."""
        if self._hook is not None:
            self._hook.end_submission()

    def _get_hook(self) -> DriverHook:
        """Return the hook, with the run request as the driver's first argument."""
        hook = DriverHook.adopt(super()._get_hook())
        if self.request is not None:
            if hook.runs_on_cluster:
                path = report_path(self.request.warehouse, self.request.attempt_key)
                self.request = dataclasses.replace(self.request, report_path=path)
            hook.set_arguments([self.request.dumps(), *(self.application_args or ())])
        if hook.is_untracked_on_yarn and self.durable_is_default:
            self.durable = False
        return hook

    def _store(self, context: Context) -> Any:
        """Return where the provider stores drivers, or None where it does not."""
        return context.get("task_state_store") if getattr(self, "durable", False) else None
