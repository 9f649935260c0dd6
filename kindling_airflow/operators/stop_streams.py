"""The task whose end asks the streams of its run to stop."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from kindling_airflow.triggers.stop import StopTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["StopStreamsOperator"]

_RETRIES = {"retries": 3, "retry_delay": timedelta(seconds=5)}  # after the loss of a triggerer


class StopStreamsOperator(BaseOperator):
    """Succeeds when all streams have ended, or when their time is over; is deferred until then.

    Marked as success, it asks the streams to stop, sources first; each processes what has arrived
    before it ends. Marked as failed it does the same, and the run fails.

    Args:
        streams: the tasks of all streams of the run.
        after_seconds: their time, from the start of the run; None: no limit.
        **kwargs: arguments of any operator.
    """

    streams: tuple[str, ...]
    after_seconds: float | None

    def __init__(
        self, *, streams: Sequence[str], after_seconds: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{**_RETRIES, **kwargs})
        self.streams = tuple(streams)
        self.after_seconds = after_seconds

    def execute(self, context: Context) -> NoReturn:
        """Defer to the triggerer."""
        ti = context["ti"]
        deadline = None
        if self.after_seconds is not None:
            began = getattr(context.get("dag_run"), "start_date", None)
            deadline = (began.timestamp() if began else time.time()) + self.after_seconds
        self.log.info(
            "Mark this task as success to stop the streams of this run.%s",
            "" if deadline is None else f" They stop in {max(0.0, deadline - time.time()):.0f} s.",
        )
        self.defer(
            trigger=StopTrigger(ti.dag_id, ti.run_id, self.streams, deadline),
            method_name="execute",  # never: the trigger ends the task
        )
