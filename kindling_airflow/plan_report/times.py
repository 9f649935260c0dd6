"""What each pipe means for the length of a run, were there room for everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import (
    DataFlow,
    critical_path,
    data_flow,
    path_through,
)
from kindling_airflow.plan_report.durations import Ticks, durations_of

__all__ = ["Times"]


@dataclass(frozen=True, slots=True)
class Times:
    """When pipes can start, and how long the ways through a plan are.

    Attributes:
        flow: who reads from whom.
        ticks: how long each pipe takes.
        until, remaining: the longest way to each pipe and from it on, the pipe included, in ticks.
        whole: the longest way through the plan, in ticks.
    """

    flow: DataFlow
    ticks: Ticks
    until: Mapping[str, int]
    remaining: Mapping[str, int]
    whole: int

    @classmethod
    def of(cls, plan: ExecutionPlan, durations: Mapping[str, float] | None) -> Times:
        """Return the times of a valid plan in forward order.

        Raises:
            ForecastError: a duration is no positive number.
        """
        ticks, flow = Ticks.of(durations_of(plan, durations)), data_flow(plan)
        until, remaining = flow.until(ticks.by_pipe), flow.remaining(ticks.by_pipe)
        return cls(flow, ticks, until, remaining, max(remaining.values(), default=0))

    def critical_path(self) -> tuple[str, ...]:
        """Return the longest way through the plan."""
        return critical_path(self.flow, self.remaining)

    def whole_seconds(self) -> float:
        """Return the length of the longest way through the plan."""
        return self.ticks.seconds(self.whole)

    def own_seconds(self, pipe_id: str) -> float:
        """Return how long a pipe takes."""
        return self.ticks.seconds(self.ticks.by_pipe[pipe_id])

    def earliest_start_seconds(self, pipe_id: str) -> float:
        """Return when a pipe could start."""
        return self.ticks.seconds(self.until[pipe_id] - self.ticks.by_pipe[pipe_id])

    def path_through(self, pipe_id: str) -> tuple[str, ...]:
        """Return the longest way through the plan that a pipe is on."""
        return path_through(self.flow, pipe_id, self.until, self.remaining)

    def path_seconds(self, pipe_id: str) -> float:
        """Return the length of the longest way that a pipe is on."""
        return self.ticks.seconds(self._through(pipe_id))

    def slack_seconds(self, pipe_id: str) -> float:
        """Return how much longer a pipe could take before the whole run does."""
        return self.ticks.seconds(self.whole - self._through(pipe_id))

    def _through(self, pipe_id: str) -> int:
        return self.until[pipe_id] + self.remaining[pipe_id] - self.ticks.by_pipe[pipe_id]
