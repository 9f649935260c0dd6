"""The operator of a stream: a pipe's own, alive as long as its query, and told when to drain."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from kindling_airflow.common.frozen import FrozenDict
from kindling_airflow.errors import ReportError
from kindling_airflow.operators.driver.drain_order import DrainOrder
from kindling_airflow.operators.driver.driver_output import DriverOutput
from kindling_airflow.operators.driver.hidden_values import hidden, masked, revealed
from kindling_airflow.operators.driver.stream_progress import StreamProgress
from kindling_airflow.operators.driver.stream_watch import SilenceWatch
from kindling_airflow.operators.driver.submitting import runs_on_cluster
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import RunReport, RunRequest, StreamNews
from kindling_airflow.triggers.run_states import States, StopRule

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["KindlingStreamOperator"]

_START_SECONDS, _SILENCE_SECONDS = 600.0, 180.0
_BEFORE_NEWS = " before its session was up"
_FROZEN = (
    "see whether its machine is out of memory, or its JVM collects garbage only; "
    "stream.silence_timeout gives it more time."
)
_NOT_UP = (
    "see whether it waits for room on its cluster, or cannot reach it; stream.ready_timeout gives "
    "it more time."
)
_LONGEST_QUESTION = 100  # ids; with more, Airflow is asked for all tasks of the run


class KindlingStreamOperator(KindlingPipeOperator):
    """Runs one streaming pipe in a Spark driver of its own, until it is told to drain.

    The driver says every two seconds how it is. Its news are the XComs ``kindling_ready`` (once)
    and ``kindling_progress`` (every ten seconds), and the moments at which the task looks whether
    its stream is to drain: when ``stop_task_id`` has ended, or a stream or a gate of the run has
    failed for good, and all producers have ended. At its end the task is judged as any pipe's, by
    the driver's report; its assets get their event then.

    A driver that says nothing for too long is killed, and the task fails and is tried again.

    Args:
        lifetime: ``continuous`` or ``bounded``, which end when they are told to; or
            ``available_now``, which ends by itself and is told nothing.
        producers: tasks that write what this one reads.
        streams: all streams of the run.
        gates: all gates of the run.
        stop_task_id: the task whose end asks the streams of the run to stop.
        checkpoints: the root of checkpoints (templated); default: in the warehouse.
        start_seconds: how long a driver may say nothing before its first news, while it waits for
            its turn on a cluster for instance.
        silence_seconds: how long it may say nothing from then on; 0: as long as it likes, before
            its first news, too.
        **kwargs: everything that ``KindlingPipeOperator`` takes. The driver has to run on the
            task's machine (client or local mode), unless the lifetime is ``available_now``.
    """

    template_fields: Sequence[str] = (*KindlingPipeOperator.template_fields, "checkpoints")
    _silence: SilenceWatch | None = None
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
        """Start the driver, stay with it until it ends, and judge by its report.

        Raises:
            AirflowSkipException: an ``available_now`` stream had nothing to take.
            AirflowFailException: the query failed, and another try cannot help; or a gate of the
                run has failed before it was ready.
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
        self._silence = SilenceWatch(*self._silence_limits, self._end_family)
        with self._silence.watching():
            return super().execute(context)

    def _request(self, context: Context) -> RunRequest:
        stream = {
            "lifetime": self.lifetime,
            "checkpoints": checkpoint_root(revealed(self.checkpoints)),
        }
        return dataclasses.replace(super()._request(context), stream=FrozenDict(stream))

    def _get_hook(self) -> SparkSubmitHook:
        hook = super()._get_hook()
        if runs_on_cluster(hook):
            if self.lifetime != "available_now":
                raise AirflowFailException(
                    f"Pipe {self.pipe_id!r}: in cluster deploy mode its driver is out of reach, "
                    "and a stream has to be told to drain\n"
                    "  Fix: set deploy_mode client in its connection or in 'task', or let the "
                    "definition say 'lifetime: available_now'."
                )
            return hook
        watch, read = self._silence, hook._process_spark_submit_log
        if watch is not None:
            hook._process_spark_submit_log = lambda lines: read(watch.over(lines))  # type: ignore[method-assign, assignment]
        return hook

    def _driver_output(self) -> DriverOutput:
        return DriverOutput(self._on_start, self._keep_report, masked, self._on_news)

    def _on_news(self, text: str) -> None:
        try:
            news = StreamNews.loads(text)
        except ReportError:
            return  # of another release; the report will tell
        if self.request is None or news.attempt_key != self.request.attempt_key:
            return
        if self._silence is not None:
            self._silence.told()
        self._progress.take(news)
        if self._order is not None:
            self._order.look(news)

    def _say(self, text: str) -> None:
        """Put a line into the open part of the log."""
        if self._output.is_folding:
            self._output.is_folding = False  # the next of Spark's lines begins a fold
            self.log.info("::endgroup::")
        self.log.info("%s", text)

    def _states_of_run(self, task_ids: list[str]) -> States:
        ti = self._ti
        wanted = task_ids if len(task_ids) <= _LONGEST_QUESTION else None
        found = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=wanted)
        states: States = found.get(ti.run_id, {})
        return states

    def _is_drivers(self, pid: int) -> bool:
        """Tell whether a process is the one that submits, or descends from it."""
        import psutil

        process = getattr(self._hook, "_submit_sp", None)
        if process is None:
            return False
        with suppress(psutil.Error):
            return process.pid in (pid, *(parent.pid for parent in psutil.Process(pid).parents()))
        return process.poll() is None  # it cannot be looked at; what spoke was the driver

    def _give_up(self) -> None:
        self._was_given_up = True
        self._end_family()

    def _end_family(self) -> None:
        """Kill the driver and all that it has started: what is frozen ends nothing itself."""
        import psutil

        process = getattr(self._hook, "_submit_sp", None)
        family: list[psutil.Process] = []
        if process is not None:
            with suppress(psutil.Error):
                family = psutil.Process(process.pid).children(recursive=True)
        self.end_submission()
        for child in family:
            with suppress(psutil.Error):
                child.kill()

    def _without_report(
        self, stale: RunReport | None, driver_error: Exception | None
    ) -> AirflowException:
        if self._was_given_up:
            return AirflowFailException(
                f"Pipe {self.pipe_id!r}: its stream was not ready when a gate of this run failed."
            )
        error = super()._without_report(stale, driver_error)
        if self._silence is None or not self._silence.was_broken or self.was_killed:
            return error
        when, fix = ("", _FROZEN) if self._silence.has_told else (_BEFORE_NEWS, _NOT_UP)
        text = (
            f"Pipe {self.pipe_id!r}: its driver said nothing for {self._silence.limit:g} s{when}, "
            f"so it was killed. The next try goes on from the checkpoint.\n  Fix: {fix}"
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
