"""Estimates how long pipes take, and when they could start if nothing limited the width."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kindling_airflow.common.durations import positive_seconds
from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.errors import ForecastError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import (
    DataFlow,
    critical_path,
    data_flow,
    duration_hint,
    path_through,
)
from kindling_airflow.tags.names import DURATION_TAG

__all__ = ["Ticks", "Times", "durations_of", "seconds_text"]

_LONGEST_SUM = 1e300
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_TOO_LONG_FOR_DAYS = 1e12


def durations_of(
    plan: ExecutionPlan, given: Mapping[str, float] | None = None, default: float = 1.0
) -> Mapping[str, float]:
    """Return the seconds that each pipe of a plan takes, in the plan's order.

    Args:
        plan: the plan.
        given: seconds by pipe id; they win. Ids that are not in the plan are ignored, so that the
            figures of a whole project serve for each of its plans.
        default: seconds of a pipe that is not given and has no tag ``duration_hint``.

    Raises:
        ForecastError: a duration is not a positive, finite number; lists all of them.
    """
    usual = positive_seconds(default)
    problems = [] if usual is not None else [_problem("the default duration", default)]
    known = given or {}
    found: dict[str, float] = {}
    for pipe_id in plan.pipe_ids:
        tags = plan.graph.nodes[pipe_id].tags
        if pipe_id in known:
            what, value = "the given duration", known[pipe_id]
            seconds = positive_seconds(value)
        elif DURATION_TAG in tags:
            what, value = f"tag {DURATION_TAG}", tags[DURATION_TAG]
            seconds = duration_hint(tags)
        else:
            found[pipe_id] = usual or 1.0
            continue
        if seconds is None:
            problems.append(_problem(f"pipe {pipe_id!r}: {what}", value))
        else:
            found[pipe_id] = seconds
    if sum(found.values()) > _LONGEST_SUM:
        problems.append(
            f"the durations add up to more than {_LONGEST_SUM:g} seconds\n"
            "  Fix: give durations in seconds."
        )
    if problems:
        raise ForecastError(problems)
    return FrozenDict(found)


@dataclass(frozen=True, slots=True)
class Ticks:
    """Durations as whole numbers of one small unit of time, so that sums of them are exact.

    Every float is a whole number of some power of two. What is compared in ticks does not depend on
    the order of addition: a pipe without slack has a slack of 0, not of 1e-16.

    Attributes:
        by_pipe: the ticks of each pipe.
        per_second: how many ticks a second has.

    >>> Ticks.of({"a": 0.5, "b": 3.0})
    Ticks(by_pipe={'a': 1, 'b': 6}, per_second=2)
    """

    by_pipe: Mapping[str, int]
    per_second: int

    @classmethod
    def of(cls, durations: Mapping[str, float]) -> Ticks:
        """Return durations in seconds as ticks."""
        ratios = {pipe_id: seconds.as_integer_ratio() for pipe_id, seconds in durations.items()}
        per_second = max((below for _, below in ratios.values()), default=1)
        ticks = {pipe_id: n * (per_second // below) for pipe_id, (n, below) in ratios.items()}
        return cls(FrozenDict(ticks), per_second)

    def seconds(self, ticks: int, parts: int = 1) -> float:
        """Return so many ticks, divided by ``parts``, as the nearest number of seconds."""
        return ticks / (self.per_second * parts)


@dataclass(frozen=True, slots=True)
class Times:
    """When pipes can start, and how long the ways through a plan are.

    Attributes:
        flow: the data flow.
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
            ForecastError: a duration is not a positive number.
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


def seconds_text(seconds: float) -> str:
    """Return a human-readable duration, with the digits that matter.

    >>> [seconds_text(s) for s in (0.03125, 12.34, 119.96, 600, 10_000, 1e6)]
    ['0.031 s', '12.3 s', '120 s', '10 min 0 s', '2 h 47 min', '11 d 14 h']
    """
    if seconds < 1 or seconds >= _TOO_LONG_FOR_DAYS:
        return f"{seconds:.2g} s"
    if seconds < 2 * _MINUTE:
        return f"{round(seconds, 1):g} s"
    if seconds < 2 * _HOUR:
        return "{} min {} s".format(*divmod(round(seconds), 60))
    if seconds < 2 * _DAY:
        return "{} h {} min".format(*divmod(round(seconds / _MINUTE), 60))
    return "{:,} d {} h".format(*divmod(round(seconds / _HOUR), 24))


def _problem(what: str, value: object) -> str:
    return (
        f"{what} must be a positive number of seconds, not {value!r}\n"
        "  Fix: give the seconds that it takes, about; only the ratios matter."
    )
