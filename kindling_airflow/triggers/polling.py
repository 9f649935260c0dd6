"""Looks at a run's tasks from the triggerer, as often as it takes, whatever goes wrong."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from kindling_airflow.triggers.run_states import States

__all__ = ["RunTrigger"]

_INTERVAL_SECONDS = 1.0
_LONGEST_QUESTION = 100  # ids; with more, Airflow is asked for all tasks of the run


class RunTrigger(BaseTrigger):
    """Fires what :meth:`look` says, or what :meth:`over` says when its time is over.

    All that it knows is in its arguments: where a triggerer is started anew, it goes on as before.

    Args:
        dag_id: the DAG.
        run_id: the run.
        streams: task ids of the streams that it is about.
        deadline: when its time is over, in seconds since the epoch; None: never.
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
        """Look until there is something to fire."""
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
        """Return what is to be fired, if anything is."""

    @abstractmethod
    def over(self) -> TriggerEvent:
        """Return what is to be fired when the time is over."""

    async def states(self, task_ids: Sequence[str]) -> States:
        """Return the states of tasks of the run."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        wanted = list(task_ids) if len(task_ids) <= _LONGEST_QUESTION else None
        found = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=self.dag_id, run_ids=[self.run_id], task_ids=wanted
        )
        states: States = found.get(self.run_id, {})
        return states

    async def _looked(self) -> TriggerEvent | None:
        """Look; an Airflow that does not answer is asked again later."""
        try:
            event = await self.look()
        except Exception as error:
            if not self._has_trouble:
                self.log.warning("Airflow does not answer; asked again: %s", error)
            self._has_trouble = True
            return None
        self._has_trouble = False
        return event
