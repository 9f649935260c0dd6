"""``forecast``: how long a run of a plan takes, and how much width is worth its slots.

No run can take less than its critical path, nor less than all its work divided among the slots.
What a pool really makes of it is list scheduling by critical path; see
:mod:`kindling_airflow.plan_report.list_scheduling`. Pipes wait for the pipes that they read from,
as the tasks of the translated DAG do, and not for whole generations. What Airflow needs between two
tasks is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.wording import counted
from kindling_airflow.errors import ForecastError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import (
    DataFlow,
    critical_path,
    data_flow,
    is_forward,
)
from kindling_airflow.plan_report.durations import Ticks, durations_of, seconds_text
from kindling_airflow.plan_report.list_scheduling import Schedule, Work, list_schedule

__all__ = ["Forecast", "ScheduledPipe", "WidthForecast", "forecast"]

_WIDTHS = (1, 2, 4, 8, 16, 32)
_NEAR = 20  # within 1/20 of the shortest


@dataclass(frozen=True, slots=True)
class ScheduledPipe:
    """When a pipe runs, in seconds after the beginning of the run."""

    pipe_id: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class WidthForecast:
    """What a width is worth.

    Attributes:
        width: pipes at once.
        makespan_seconds: how long the run takes.
        utilisation: the part of the slots' time that is used, from 0 to 1.
    """

    width: int
    makespan_seconds: float
    utilisation: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long a run takes.

    Attributes:
        width: pipes at once; None where nothing limits them.
        makespan_seconds: how long the run takes.
        lower_bound_seconds: what no order of the pipes can undercut at this width. The makespan is
            at most (2 - 1 / width) times as long.
        work_seconds: the durations of all pipes together.
        critical_path: the longest way through the plan.
        critical_path_seconds: its length, which is the makespan without a limit.
        peak: the most pipes at once.
        utilisation: the part of the slots' time that is used; of ``peak`` slots without a width.
        enough_width: a width whose makespan is within 5 % of the one without a limit, while that of
            one slot less is not.
        widths: makespan and utilisation at some widths.
        schedule: the pipes in the order in which they start.
    """

    width: int | None
    makespan_seconds: float
    lower_bound_seconds: float
    work_seconds: float
    critical_path: tuple[str, ...]
    critical_path_seconds: float
    peak: int
    utilisation: float
    enough_width: int
    widths: tuple[WidthForecast, ...]
    schedule: tuple[ScheduledPipe, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as a JSON document."""
        document: dict[str, Any] = thaw(asdict(self))
        return document

    def text(self) -> str:
        """Return the forecast as human-readable text, without its schedule."""
        return "\n".join(_lines(self))


def forecast(
    plan: ExecutionPlan, width: int | None = None, durations: Mapping[str, float] | None = None
) -> Forecast:
    """Forecast a run of a plan.

    Args:
        plan: a valid plan whose pipes run to their end.
        width: how many pipes run at once; None for no limit.
        durations: seconds by pipe id; see :func:`~kindling_airflow.plan_report.durations_of`.

    Raises:
        ForecastError: the plan is not a forward plan, the width is not a positive whole number,
            or a duration is not a positive number; lists every problem.
    """
    problems = [*_plan_problems(plan), *_width_problems(width)]
    try:
        ticks = Ticks.of(durations_of(plan, durations))
    except ForecastError as error:
        raise ForecastError([*problems, *error.problems]) from error
    if problems:
        raise ForecastError(problems)
    flow = data_flow(plan)
    remaining = flow.remaining(ticks.by_pipe)
    urgent_first = sorted(plan.pipe_ids, key=lambda pipe_id: -remaining[pipe_id])
    with collector_paused():
        runs = _Runs(_work(urgent_first, flow, ticks.by_pipe))
        made = runs.at(width)
        slots = made.peak if width is None else width
        return Forecast(
            width=width,
            makespan_seconds=ticks.seconds(made.makespan),
            lower_bound_seconds=max(
                ticks.seconds(runs.unlimited.makespan), ticks.seconds(runs.total, max(1, slots))
            ),
            work_seconds=ticks.seconds(runs.total),
            critical_path=critical_path(flow, remaining),
            critical_path_seconds=ticks.seconds(runs.unlimited.makespan),
            peak=made.peak,
            utilisation=runs.utilisation(slots),
            enough_width=runs.enough_width(),
            widths=tuple(
                WidthForecast(w, ticks.seconds(runs.at(w).makespan), runs.utilisation(w))
                for w in _WIDTHS
            ),
            schedule=tuple(
                ScheduledPipe(
                    urgent_first[job],
                    ticks.seconds(made.starts[job]),
                    ticks.seconds(made.starts[job] + ticks.by_pipe[urgent_first[job]]),
                )
                for job in made.order
            ),
        )


class _Runs:
    """The runs of a plan at the requested widths; each is computed once."""

    def __init__(self, work: Work) -> None:
        self.total = sum(work.lengths)
        self.unlimited = list_schedule(work, max(1, len(work.lengths)))
        self._work = work
        self._made = {self.unlimited.peak: self.unlimited}

    def at(self, width: int | None) -> Schedule:
        """Return the run at a width; above the peak of the unlimited one, width changes nothing."""
        if width is None or width >= self.unlimited.peak:
            return self.unlimited
        if width not in self._made:
            self._made[width] = list_schedule(self._work, width)
        return self._made[width]

    def utilisation(self, width: int) -> float:
        """Return the part of the slots' time that the run at a width uses."""
        offered = width * self.at(width).makespan
        return self.total / offered if offered else 0.0

    def enough_width(self) -> int:
        """Return a width that is near to the best, while one slot less is not.

        More slots can make list scheduling slower (Graham's anomalies), so there may be a smaller
        one with this property; to find it for sure would mean to try every width.
        """
        longest = self.unlimited.makespan * (_NEAR + 1)
        too_small = (self.total * _NEAR - 1) // longest if self.total else 0
        enough = max(1, self.unlimited.peak)
        while enough - too_small > 1:
            middle = (too_small + enough) // 2
            if self.at(middle).makespan * _NEAR <= longest:
                enough = middle
            else:
                too_small = middle
        return enough


def _work(urgent_first: list[str], flow: DataFlow, lengths: Mapping[str, int]) -> Work:
    numbers = {pipe_id: n for n, pipe_id in enumerate(urgent_first)}
    return Work(
        lengths=[lengths[p] for p in urgent_first],
        followers=[[numbers[q] for q in flow.consumers[p]] for p in urgent_first],
        waiting=[len(flow.producers[p]) for p in urgent_first],
    )


def _plan_problems(plan: ExecutionPlan) -> Iterator[str]:
    if not is_forward(plan):
        yield (
            f"a plan of strategy {plan.strategy!r} starts consumers before their producers: its "
            "streams run until they are stopped, so its length cannot be forecast\n"
            "  Fix: forecast a plan of forward order, such as one of strategy 'batch'."
        )


def _width_problems(width: object) -> Iterator[str]:
    if width is not None and (type(width) is not int or width < 1):
        yield (
            f"width must be a whole number of at least 1, or None, not {width!r}\n"
            "  Fix: give the number of the pool's slots."
        )


def _lines(found: Forecast) -> Iterator[str]:
    pipes = counted(len(found.schedule), "pipe")
    where = "without a limit" if found.width is None else f"at width {found.width:,}"
    yield f"{pipes} {where}: {seconds_text(found.makespan_seconds)}"
    yield ""
    bound = seconds_text(found.lower_bound_seconds)
    yield f"  Lower bound     {bound}: no order of the pipes takes less"
    yield f"  Critical path   {seconds_text(found.critical_path_seconds)}: " + (
        " -> ".join(map(repr, found.critical_path)) or "none"
    )
    yield f"  Work            {seconds_text(found.work_seconds)}: all pipes together"
    yield f"  At once         {found.peak:,}, {found.utilisation:.0%} of the slots' time in use"
    yield (
        f"  Enough width    {found.enough_width:,}: within 5 % of the "
        f"{seconds_text(found.critical_path_seconds)} that it takes without a limit"
    )
    yield ""
    yield "  width   takes          slots in use"
    for row in found.widths:
        takes = seconds_text(row.makespan_seconds)
        yield f"  {row.width:>5}   {takes:<12}   {row.utilisation:>4.0%}"
