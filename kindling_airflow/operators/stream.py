"""The operator that runs a streaming pipe until its query ends or it has to drain."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.hidden_values import hidden, masked, revealed
from kindling_airflow.operators.driver.hook import DriverHook
from kindling_airflow.operators.driver.process_family import kill_family
from kindling_airflow.operators.driver.stream_watch import DrainOrder, StreamProgress, Watchdog
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.operators.run_watch import WatchesRun
from kindling_airflow.operators.stored_fields import TemplateFields
from kindling_airflow.protocol.contracts import RunReport, RunRequest, StreamNews
from kindling_airflow.triggers.run_states import StopRule

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["KindlingStreamOperator"]

_START_SECONDS, _SILENCE_SECONDS = 600.0, 180.0
_FROZEN = (
    "check whether its machine is out of memory, or its JVM only collects garbage; raise "
    "stream.silence_timeout to allow more time."
)
_NOT_UP = (
    "check whether it waits for resources of its cluster, or cannot reach it; raise "
    "stream.ready_timeout to allow more time."
)


class KindlingStreamOperator(WatchesRun, KindlingPipeOperator):
    """Runs one streaming pipe in its own Spark driver, until it has to drain.

    The driver reports its state every two seconds. The task passes that on as the XComs
    ``kindling_ready`` (once) and ``kindling_progress`` (every ten seconds), and then checks whether
    its stream has to drain: when ``stop_task_id`` has ended, or a stream or a gate of the run has
    failed permanently, and all producers have ended. As for any pipe, the driver's report decides
    how the task ends; its assets are updated then.

    A driver that is silent for too long is killed; the task fails and is retried.

    Args:
        lifetime: ``continuous`` or ``bounded``, which run until they have to drain; or
            ``available_now``, which ends by itself.
        producers: tasks that write what this one reads.
        streams: all streams of the run.
        gates: all gates of the run.
        stop_task_id: the task whose end asks the streams of the run to stop.
        checkpoints: the root of checkpoints (templated); default: in the warehouse.
        start_seconds: how long a driver may be silent before its first news, while it is queued
            on a cluster for instance.
        silence_seconds: how long it may be silent from then on; 0: no limit, before its first news
            either.
        **kwargs: arguments of ``KindlingPipeOperator``. The driver has to run on the task's
            machine (client or local mode), unless the lifetime is ``available_now``.
    """

    template_fields = TemplateFields(*KindlingPipeOperator.template_fields, "checkpoints")
    keeps_history = False  # how long a stream runs and what it writes is up to others
    _watchdog: Watchdog | None = None
    _progress: StreamProgress
    _order: DrainOrder | None = None
    _was_given_up = False

    lifetime: str
    checkpoints: str | None
    _rule: StopRule
    _silence_limits: tuple[float, float]

    def __init__(
        self,
        *,
        lifetime: str,
        producers: Sequence[str] = (),
        streams: Sequence[str] = (),
        gates: Sequence[str] = (),
        stop_task_id: str = "",
        checkpoints: str | None = None,
        start_seconds: float = _START_SECONDS,
        silence_seconds: float = _SILENCE_SECONDS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        vars(self).update(
            lifetime=lifetime,
            checkpoints=hidden(checkpoints),
            _rule=StopRule(stop_task_id, tuple(streams), tuple(gates), tuple(producers)),
            _silence_limits=(silence_seconds, start_seconds),
        )

    def execute(self, context: Context) -> dict[str, Any]:  # type: ignore[override]
        """Start the driver, wait until it ends, and return its report.

        Raises:
            AirflowSkipException: an ``available_now`` stream had nothing to process.
            AirflowFailException: the query failed, and a retry cannot succeed; or a gate of the run
                failed before the stream was ready.
            AirflowException: the query failed, or its driver sent no report of this attempt.
        """
        ti = context["ti"]
        self._progress = StreamProgress(ti.xcom_push, self._say)
        if self._rule.stop_task_id:
            self._order = DrainOrder(
                self._rule,
                states=self._states_of_run,
                is_own=self._is_drivers,
                give_up=self._give_up,
                say=self._say,
            )
        self._watchdog = Watchdog(*self._silence_limits, self._end_family)
        with self._watchdog.watching():
            return super().execute(context)

    def _request(self, context: Context) -> RunRequest:
        stream = {
            "lifetime": self.lifetime,
            "checkpoints": checkpoint_root(revealed(self.checkpoints)),
        }
        return dataclasses.replace(super()._request(context), stream=FrozenDict(stream))

    def _get_hook(self) -> DriverHook:
        hook = super()._get_hook()
        if not hook.runs_on_cluster:
            if self._watchdog is not None:
                hook.watched = self._watchdog.over
        elif self.lifetime != "available_now":
            raise AirflowFailException(
                f"Pipe {self.pipe_id!r}: in cluster deploy mode its driver cannot be signalled, "
                "and a long-running stream needs that to drain\n"
                "  Fix: set deploy_mode client in its connection or in 'task', or set 'lifetime: "
                "available_now' in the definition."
            )
        return hook

    def _driver_output(self) -> DriverOutput:
        return DriverOutput(self._on_start, self._keep_report, masked, self._on_news)

    def _on_news(self, text: str) -> None:
        try:
            news = StreamNews.loads(text)
        except ReportError:
            return  # of another release, which the report is checked for
        if self.request is None or news.attempt_key != self.request.attempt_key:
            return
        if self._watchdog is not None:
            self._watchdog.on_news()
        self._progress.take(news)
        if self._order is not None:
            self._order.look(news)

    def _is_drivers(self, pid: int) -> bool:
        """Return whether a process is the one that submits, or descends from it."""
        import psutil

        process = None if self._hook is None else self._hook.process
        if process is None:
            return False
        with suppress(psutil.Error):
            return process.pid in (pid, *(parent.pid for parent in psutil.Process(pid).parents()))
        return process.poll() is None  # it cannot be inspected, but its news came from the driver

    def _give_up(self) -> None:
        self._was_given_up = True
        self._end_family()

    def _end_family(self) -> None:
        """Kill the driver and its children, which a frozen driver does not end itself."""
        import psutil

        process = None if self._hook is None else self._hook.process
        if process is not None:
            with suppress(psutil.Error):
                kill_family(psutil.Process(process.pid))
        self.end_submission()

    def _without_report(
        self, stale: RunReport | None, driver_error: Exception | None
    ) -> AirflowException:
        if self._was_given_up:
            return AirflowFailException(
                f"Pipe {self.pipe_id!r}: the stream was not ready when a gate of this run failed."
            )
        error = super()._without_report(stale, driver_error)
        watchdog = self._watchdog
        if watchdog is None or not watchdog.was_broken or self.was_killed:
            return error
        when, fix = ("", _FROZEN) if watchdog.has_news else (" before its session was up", _NOT_UP)
        text = (
            f"Pipe {self.pipe_id!r}: the driver was silent for {watchdog.limit:g} s{when}, and was "
            f"killed. The next try continues from the checkpoint.\n  Fix: {fix}"
        )
        self.log.error("%s", text)
        return AirflowException(text)


def checkpoint_root(configured: str | None) -> str:
    """Return the root of checkpoints; "" for the warehouse's own.

    A relative path starts from AIRFLOW_HOME.
    """
    from airflow.configuration import AIRFLOW_HOME

    if not configured or "://" in configured:
        return configured or ""
    return str(Path(AIRFLOW_HOME) / configured)
