"""Fires when streams have ended, or at a deadline."""

from __future__ import annotations

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from kindling_airflow.triggers.polling import RunTrigger
from kindling_airflow.triggers.run_states import all_ended

__all__ = ["StopTrigger"]


class StopTrigger(RunTrigger):
    """Ends its task as success, without a worker."""

    async def look(self) -> TriggerEvent | None:
        """Return success if all streams have ended."""
        if not all_ended(await self.states(self.streams), self.streams):
            return None
        self.log.info("All streams have ended.")
        return TaskSuccessEvent()

    def over(self) -> TriggerEvent:
        """Return success, which asks the streams to stop."""
        self.log.info("The time is over: the streams are asked to stop.")
        return TaskSuccessEvent()
