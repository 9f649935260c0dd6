"""Fires when streams are ready, when one cannot become so any more, or when time is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async

from kindling_airflow.triggers.polling import RunTrigger
from kindling_airflow.triggers.run_states import ended

__all__ = ["READY_KEY", "ReadyTrigger"]

READY_KEY = "kindling_ready"
_DEAD = frozenset({"failed", "upstream_failed", "skipped", "removed"})


class ReadyTrigger(RunTrigger):
    """Ends its task as a success, or as skipped, without a worker; a failure is for a worker.

    A stream is ready if it has ended as a success, or if it runs and has said so in its XCom, which
    each of its tries has to say anew.

    Args:
        dag_id, run_id, streams, deadline: as :class:`RunTrigger` takes them.
        stop_task_id: the task whose end asks all streams to stop: then nobody need wait.
    """

    def __init__(
        self,
        dag_id: str,
        run_id: str,
        streams: Sequence[str],
        deadline: float | None = None,
        stop_task_id: str = "",
    ) -> None:
        super().__init__(dag_id, run_id, streams, deadline)
        self.stop_task_id = stop_task_id
        self._waiting: dict[str, str | None] = {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        kind, arguments = super().serialize()
        return kind, {**arguments, "stop_task_id": self.stop_task_id}

    async def look(self) -> TriggerEvent | None:
        """Return how it is with the streams, unless they still have to be waited for."""
        states = await self.states([*self.streams, self.stop_task_id])
        if not states:
            return None
        dead = {t: states[t] for t in self.streams if states.get(t) in _DEAD}
        if dead:
            return TriggerEvent({"status": "failed", "streams": dead})  # type: ignore[no-untyped-call]
        if ended(states, self.stop_task_id):
            self.log.info("%r has ended: nothing more is to be started.", self.stop_task_id)
            return TaskSkippedEvent()
        self._waiting = {
            task_id: states.get(task_id)
            for task_id in self.streams
            if not await self._is_ready(task_id, states.get(task_id))
        }
        return None if self._waiting else TaskSuccessEvent()

    def over(self) -> TriggerEvent:
        """Return who was not ready."""
        return TriggerEvent({"status": "late", "streams": self._waiting})  # type: ignore[no-untyped-call]

    async def _is_ready(self, task_id: str, state: str | None) -> bool:
        if state != "running":
            return state == "success"
        from airflow.sdk.execution_time.xcom import XCom

        said = await sync_to_async(XCom.get_one)(
            key=READY_KEY, dag_id=self.dag_id, task_id=task_id, run_id=self.run_id
        )
        return said is not None
