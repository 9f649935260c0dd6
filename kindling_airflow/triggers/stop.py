"""Fires when streams have ended, or when the time that they have is over."""

from __future__ import annotations

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from kindling_airflow.triggers.polling import RunTrigger
from kindling_airflow.triggers.run_states import all_ended

__all__ = ["StopTrigger"]


class StopTrigger(RunTrigger):
    """Ends its task as a success, without a worker."""

    async def look(self) -> TriggerEvent | None:
        """Return the end if there is no stream left."""
        if not all_ended(await self.states(self.streams), self.streams):
            return None
        self.log.info("All streams have ended.")
        return TaskSuccessEvent()

    def over(self) -> TriggerEvent:
        """Return the end that asks the streams to stop."""
        self.log.info("The time is over: the streams are to stop.")
        return TaskSuccessEvent()
