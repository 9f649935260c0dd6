"""The gate behind a generation of streams: what feeds them does not start before they are ready."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator

from kindling_airflow.triggers.ready import ReadyTrigger
from kindling_airflow.triggers.run_states import named

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["ReadyGateOperator"]

_RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=5)}  # of a triggerer that was lost


class ReadyGateOperator(BaseOperator):
    """Ends when streams are ready; until then it is deferred and holds no slot.

    It fails for good as soon as one of them cannot become ready any more, or one that was ready
    before them has failed for good, and when its time is over; each time it names the streams. When
    the streams are asked to stop meanwhile, it is skipped, and so is what waits for it.

    Args:
        streams: the tasks of the streams.
        earlier: the tasks of the streams that were to be ready before these.
        stop_task_id: the task whose end asks all streams of the run to stop.
        timeout_seconds: how long they may take.
        **kwargs: everything that an operator takes.
    """

    streams: tuple[str, ...]
    earlier: tuple[str, ...]
    stop_task_id: str
    timeout_seconds: float

    def __init__(
        self,
        *,
        streams: Sequence[str],
        stop_task_id: str,
        timeout_seconds: float,
        earlier: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**_RETRIES, **kwargs})
        self.streams = tuple(streams)
        self.earlier = tuple(earlier)
        self.stop_task_id = stop_task_id
        self.timeout_seconds = timeout_seconds

    def execute(self, context: Context) -> NoReturn:
        """Hand over to the triggerer."""
        ti = context["ti"]
        deadline = time.time() + self.timeout_seconds
        self.log.info("Waits up to %g s for %s", self.timeout_seconds, named(self.streams))
        self.defer(
            trigger=ReadyTrigger(
                ti.dag_id,
                ti.run_id,
                self.streams,
                deadline,
                self.stop_task_id,
                earlier=self.earlier,
            ),
            method_name="fail",
        )

    def fail(self, context: Context, event: Mapping[str, Any]) -> NoReturn:  # noqa: ARG002
        """Fail for good, with the names of the streams that are the reason.

        Raises:
            AirflowFailException: always.
        """
        states: Mapping[str, str | None] = event["streams"]
        if event["status"] == "unknown":
            raise AirflowFailException(
                f"Not known to be ready within {self.timeout_seconds:g} s: {named(states)}. "
                "Airflow did not tell the states of this run; what feeds them is not started.\n"
                "  Fix: the log above says what the triggerer was answered. A new run goes on from "
                "the checkpoints."
            )
        told = ", ".join(
            f"{task_id!r} ({state or 'not started'})" for task_id, state in states.items()
        )
        if event["status"] == "gone":
            raise AirflowFailException(
                f"Failed for good after it was to be ready: {told}. What would feed it is not "
                "started, and the other streams stop.\n"
                "  Fix: mend what its log says. A new run goes on from the checkpoints."
            )
        if event["status"] == "late":
            raise AirflowFailException(
                f"Not ready within {self.timeout_seconds:g} s: {told}. What feeds them is not "
                "started.\n  Fix: their logs say what they wait for; a pool with too few free "
                "slots keeps them from starting; stream.ready_timeout gives them more time."
            )
        raise AirflowFailException(
            f"Will not become ready: {told}. What feeds them is not started.\n"
            "  Fix: mend what their logs say. A new run goes on from the checkpoints."
        )
