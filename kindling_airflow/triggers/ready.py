"""Fires when streams are ready, when one cannot become ready any more, or at a deadline.

A stream of an earlier gate that has failed permanently since is a reason to fail, too: producers
must not be started for readers of which one is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.triggers.base import TaskSkippedEvent, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async

from kindling_airflow.triggers.polling import RunTrigger
from kindling_airflow.triggers.run_states import ended, failed_for_good

__all__ = ["READY_KEY", "ReadyTrigger"]

READY_KEY = "kindling_ready"
_DEAD = frozenset({"failed", "upstream_failed", "skipped", "removed"})


class ReadyTrigger(RunTrigger):
    """Ends its task as success or skipped without a worker; a failure resumes it on a worker.

    A stream is ready if it has succeeded, or if it runs and this try has pushed its XCom.

    Args:
        dag_id, run_id, streams, deadline: as in :class:`RunTrigger`.
        stop_task_id: the task whose end asks all streams to stop, and ends the wait.
        earlier: task ids of the streams of earlier gates.
    """

    def __init__(
        self,
        dag_id: str,
        run_id: str,
        streams: Sequence[str],
        deadline: float | None = None,
        stop_task_id: str = "",
        *,
        earlier: Sequence[str] = (),
    ) -> None:
        super().__init__(dag_id, run_id, streams, deadline)
        self.stop_task_id = stop_task_id
        self.earlier = list(earlier)
        self._waiting: dict[str, str | None] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        kind, arguments = super().serialize()
        own = {"stop_task_id": self.stop_task_id, "earlier": self.earlier}
        return kind, {**arguments, **own}

    async def look(self) -> TriggerEvent | None:
        """Return the event of the streams, or None while they have to be waited for."""
        states = await self.states([*self.streams, *self.earlier, self.stop_task_id])
        if not states:
            return None
        dead = {t: states[t] for t in self.streams if states.get(t) in _DEAD}
        if dead:
            return _event("failed", dead)
        gone = {t: states[t] for t in failed_for_good(states, self.earlier)}
        if gone:
            return _event("gone", gone)
        if ended(states, self.stop_task_id):
            self.log.info("%r has ended: no more tasks are started.", self.stop_task_id)
            return TaskSkippedEvent()
        self._waiting = {
            task_id: states.get(task_id)
            for task_id in self.streams
            if not await self._is_ready(task_id, states.get(task_id))
        }
        return None if self._waiting else TaskSuccessEvent()

    def over(self) -> TriggerEvent:
        """Return the streams that are not ready; all, if Airflow has never answered."""
        if self._waiting is None:
            return _event("unknown", dict.fromkeys(self.streams))
        return _event("late", self._waiting)

    async def _is_ready(self, task_id: str, state: str | None) -> bool:
        if state != "running":
            return state == "success"
        from airflow.sdk.execution_time.xcom import XCom

        value = await sync_to_async(XCom.get_one)(
            key=READY_KEY, dag_id=self.dag_id, task_id=task_id, run_id=self.run_id
        )
        return value is not None


def _event(status: str, streams: dict[str, str | None]) -> TriggerEvent:
    return TriggerEvent({"status": status, "streams": streams})  # type: ignore[no-untyped-call]
