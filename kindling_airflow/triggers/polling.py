"""A trigger that polls the states of a run's tasks."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from kindling_airflow.triggers.run_states import States

__all__ = ["MOST_TASK_IDS", "RunTrigger"]

_INTERVAL_SECONDS = 1.0
MOST_TASK_IDS = 100  # with more, Airflow is asked for all tasks of the run


class RunTrigger(BaseTrigger):
    """Fires the event of :meth:`look`, or that of :meth:`over` after its deadline.

    Its arguments are its whole state, so a restarted triggerer continues it.

    Args:
        dag_id: the DAG.
        run_id: the run.
        streams: task ids of the streams.
        deadline: in seconds since the epoch; None: none.
    """

    def __init__(
        self, dag_id: str, run_id: str, streams: Sequence[str], deadline: float | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dag_id = dag_id
        self.run_id = run_id
        self.streams = list(streams)
        self.deadline = deadline
        self._has_trouble = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}", {
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "streams": self.streams,
            "deadline": self.deadline,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until there is an event."""
        while True:
            event = await self._looked()
            if event is None and self.deadline is not None and time.time() >= self.deadline:
                event = self.over()
            if event is not None:
                yield event
                return
            await asyncio.sleep(_INTERVAL_SECONDS)

    @abstractmethod
    async def look(self) -> TriggerEvent | None:
        """Return the event to fire now, if any."""

    @abstractmethod
    def over(self) -> TriggerEvent:
        """Return the event to fire at the deadline."""

    async def states(self, task_ids: Sequence[str]) -> States:
        """Return the states of tasks of the run."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        wanted = list(task_ids) if len(task_ids) <= MOST_TASK_IDS else None
        found = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=self.dag_id, run_ids=[self.run_id], task_ids=wanted
        )
        states: States = found.get(self.run_id, {})
        return states

    async def _looked(self) -> TriggerEvent | None:
        """Look; errors of Airflow are logged once, and polling continues."""
        try:
            event = await self.look()
        except Exception as error:
            if not self._has_trouble:
                self.log.warning("Airflow does not answer; retrying: %s", error)
            self._has_trouble = True
            return None
        self._has_trouble = False
        return event
