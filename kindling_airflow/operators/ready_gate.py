"""The gate behind a generation of streams: their producers start when they are ready."""

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

_RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=5)}  # after the loss of a triggerer


class ReadyGateOperator(BaseOperator):
    """Succeeds when streams are ready; until then it is deferred and holds no slot.

    It fails permanently when one of them cannot become ready any more, when one of an earlier gate
    has failed permanently, and at its timeout; the error names the streams. When the streams are
    asked to stop meanwhile, it is skipped, and so are its downstream tasks.

    Args:
        streams: the tasks of the streams.
        earlier: the tasks of the streams of earlier gates.
        stop_task_id: the task whose end asks all streams of the run to stop.
        timeout_seconds: how long they may take.
        **kwargs: arguments of any operator.
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
        """Defer to the triggerer."""
        ti = context["ti"]
        deadline = time.time() + self.timeout_seconds
        self.log.info("Waiting up to %g s for %s", self.timeout_seconds, named(self.streams))
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
        """Fail permanently, naming the streams.

        Raises:
            AirflowFailException: always.
        """
        states: Mapping[str, str | None] = event["streams"]
        listed = ", ".join(
            f"{task_id!r} ({state or 'not started'})" for task_id, state in states.items()
        )
        limit = f"{self.timeout_seconds:g} s"
        errors = {
            "unknown": f"No readiness known within {limit}: {named(states)}. Airflow did not "
            "return the states of this run; their producers are not started.\n"
            "  Fix: see the triggerer's errors in the log above. A new run continues from the "
            "checkpoints.",
            "gone": f"Failed permanently after the readiness deadline: {listed}. Its producers are "
            "not started, and the other streams stop.\n"
            "  Fix: correct the error in its log. A new run continues from the checkpoints.",
            "late": f"Not ready within {limit}: {listed}. Their producers are not started.\n"
            "  Fix: see their logs; a pool with too few free slots keeps them from starting; raise "
            "stream.ready_timeout to allow more time.",
            "failed": f"Cannot become ready: {listed}. Their producers are not started.\n"
            "  Fix: correct the errors in their logs. A new run continues from the checkpoints.",
        }
        raise AirflowFailException(errors[event["status"]])
