"""Forecasts: never below the lower bound, never above (2 - 1 / width) times it."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import ForecastError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.plan_report import forecast
from kindling_airflow.plan_report.forecasting import Forecast, ScheduledPipe, WidthForecast
from tests.builders import graph, plan
from tests.strategies import acyclic_pipes

FIX = "\n  Fix: give the seconds that it takes, about; only the ratios matter."


@st.composite
def plans(draw: st.DrawFn) -> ExecutionPlan:
    """Draw a plan in which some pipes have a duration and some have not."""
    registry = DataPipesRegistry()
    seconds = st.integers(1, 30) | st.floats(0.001, 1e6)
    for pipe in draw(acyclic_pipes(max_pipes=12)):
        hint = draw(st.none() | seconds)
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags=None if hint is None else {"duration_hint": hint},
        )
    return ExecutionPlanGenerator(registry).generate_plan(
        None, draw(st.sampled_from(["batch", "priority"]))
    )


def seconds_of(made: ExecutionPlan, pipe_id: str) -> float:
    return float(made.graph.nodes[pipe_id].tags.get("duration_hint", 1))


def simulated(made: ExecutionPlan, width: int) -> dict[str, tuple[Fraction, Fraction]]:
    """Schedule by the definition, in exact numbers: the scheduler in few and slow words."""

    def remaining(pipe_id: str) -> Fraction:
        behind = made.graph.get_dependents(pipe_id)
        return Fraction(seconds_of(made, pipe_id)) + max(map(remaining, behind), default=Fraction())

    urgent_first = sorted(made.pipe_ids, key=lambda p: (-remaining(p), made.pipe_ids.index(p)))
    times: dict[str, tuple[Fraction, Fraction]] = {}
    now = Fraction()
    while len(times) < len(made.pipe_ids):
        for pipe_id in urgent_first:
            running = [p for p, (_, end) in times.items() if end > now]
            ready = all(
                p in times and times[p][1] <= now for p in made.graph.get_dependencies(pipe_id)
            )
            if pipe_id not in times and ready and len(running) < width:
                times[pipe_id] = (now, now + Fraction(seconds_of(made, pipe_id)))
        now = min((end for _, end in times.values() if end > now), default=now)
    return times


class TestProperties:
    @given(plans(), st.integers(1, 6))
    def test_makespan_is_between_the_lower_bound_and_grahams_bound(
        self, made: ExecutionPlan, width: int
    ) -> None:
        found = forecast(made, width)
        assert found.lower_bound_seconds <= found.makespan_seconds
        most = (2 - Fraction(1, width)) * Fraction(found.lower_bound_seconds)
        assert found.makespan_seconds <= most * (1 + Fraction(1, 10**12))

    @given(plans(), st.integers(1, 6))
    def test_lower_bound_is_the_critical_path_or_the_shared_work(
        self, made: ExecutionPlan, width: int
    ) -> None:
        found = forecast(made, width)
        work = sum(Fraction(seconds_of(made, p)) for p in made.pipe_ids)
        path = sum(Fraction(seconds_of(made, p)) for p in found.critical_path)
        assert found.work_seconds == float(work)
        assert found.critical_path_seconds == float(path)
        assert found.lower_bound_seconds == float(max(path, work / width))

    @given(plans(), st.integers(1, 6))
    def test_schedule_is_that_of_the_slow_scheduler(self, made: ExecutionPlan, width: int) -> None:
        found = forecast(made, width)
        times = simulated(made, width)
        assert {p.pipe_id: (p.start, p.end) for p in found.schedule} == {
            pipe_id: (float(start), float(end)) for pipe_id, (start, end) in times.items()
        }
        starts = [pipe.start for pipe in found.schedule]
        assert starts == sorted(starts)
        assert found.makespan_seconds == max((pipe.end for pipe in found.schedule), default=0)

    @given(plans(), st.none() | st.integers(1, 6))
    def test_pipes_wait_for_their_producers_and_for_room(
        self, made: ExecutionPlan, width: int | None
    ) -> None:
        found = forecast(made, width)
        times = {pipe.pipe_id: pipe for pipe in found.schedule}
        for edge in made.graph.edges:
            assert times[edge.from_pipe].end <= times[edge.to_pipe].start
        at_once = [
            sum(other.start <= pipe.start < other.end for other in found.schedule)
            for pipe in found.schedule
        ]
        assert found.peak == max(at_once, default=0)
        assert width is None or found.peak <= width

    @given(plans())
    def test_without_a_limit_a_run_takes_its_critical_path(self, made: ExecutionPlan) -> None:
        found = forecast(made)
        assert found.makespan_seconds == found.critical_path_seconds == found.lower_bound_seconds
        assert forecast(made, 1000).makespan_seconds == found.makespan_seconds

    @given(plans())
    def test_enough_width_is_near_to_the_best_and_one_slot_less_is_not(
        self, made: ExecutionPlan
    ) -> None:
        enough = forecast(made).enough_width
        best = Fraction(forecast(made).makespan_seconds)

        def near(width: int) -> bool:
            return forecast(made, width).makespan_seconds <= best * Fraction(105, 100)

        assert near(enough)
        assert enough == 1 or not near(enough - 1)

    @given(plans(), st.integers(1, 6))
    def test_table_says_what_a_forecast_at_that_width_says(
        self, made: ExecutionPlan, width: int
    ) -> None:
        found = forecast(made, width)
        assert [row.width for row in found.widths] == [1, 2, 4, 8, 16, 32]
        for row in found.widths:
            own = forecast(made, row.width)
            assert (row.makespan_seconds, row.utilisation) == (
                own.makespan_seconds,
                own.utilisation,
            )
            assert 0 <= row.utilisation <= 1
        assert found.widths[0].makespan_seconds == found.work_seconds


class TestFigures:
    r"""
    a (1) -- b (10) -- d (5)        the critical path: 16
         \-- c (2) --/
    x (7)
    """

    drawing = "a -> b -> d, a -> c -> d, x"
    durations: ClassVar = {"a": 1, "b": 10, "c": 2, "d": 5, "x": 7}

    def forecast(self, width: int | None) -> Forecast:
        return forecast(plan(self.drawing), width, self.durations)

    def test_narrow_run_starts_what_the_end_waits_for(self) -> None:
        found = self.forecast(1)
        assert [pipe.pipe_id for pipe in found.schedule] == ["a", "b", "c", "x", "d"]
        assert found.makespan_seconds == found.work_seconds == 25.0
        assert found.utilisation == 1.0

    def test_run_of_two(self) -> None:
        found = self.forecast(2)
        assert found.schedule == (
            ScheduledPipe("a", 0.0, 1.0),
            ScheduledPipe("x", 0.0, 7.0),
            ScheduledPipe("b", 1.0, 11.0),
            ScheduledPipe("c", 7.0, 9.0),
            ScheduledPipe("d", 11.0, 16.0),
        )
        assert found.critical_path == ("a", "b", "d")
        assert (found.lower_bound_seconds, found.makespan_seconds) == (16.0, 16.0)
        assert (found.peak, found.enough_width) == (2, 2)
        assert found.widths[1] == WidthForecast(2, 16.0, 25 / 32)

    def test_without_a_width_all_run_that_can(self) -> None:
        found = self.forecast(None)
        assert (found.width, found.peak, found.utilisation) == (None, 3, 25 / 48)

    def test_barriers_between_generations_are_not_there(self) -> None:
        """b starts when a ends, whatever else is in the generation of a."""
        found = forecast(plan("a -> b, slow"), None, {"slow": 100})
        assert found.schedule[2] == ScheduledPipe("b", 1.0, 2.0)

    def test_equally_urgent_pipes_start_in_the_order_requested(self) -> None:
        assert [pipe.pipe_id for pipe in forecast(plan("c, a, b"), 1).schedule] == ["c", "a", "b"]

    def test_what_ends_at_one_time_makes_room_before_anything_starts(self) -> None:
        """p and q end together; both slots go to what waited for q, and none of them to z."""
        durations = {"p": 10, "r": 9, "q": 1, "y1": 5, "y2": 5, "z": 1}
        found = forecast(plan("p, r -> q -> y1, q -> y2, z"), 2, durations)
        starts = {pipe.pipe_id: pipe.start for pipe in found.schedule}
        assert starts == {"r": 0, "p": 0, "q": 9, "y1": 10, "y2": 10, "z": 15}

    def test_pipes_beyond_the_plan_do_not_count(self) -> None:
        made = BatchExecutionStrategy().plan(graph("a -> b -> c"), ["a", "c"])
        assert forecast(made).makespan_seconds == 1.0

    def test_empty_plan_takes_no_time(self) -> None:
        found = forecast(plan(""), 4)
        assert (found.makespan_seconds, found.lower_bound_seconds) == (0.0, 0.0)
        assert (found.peak, found.utilisation, found.enough_width) == (0, 0.0, 1)
        assert found.text().splitlines()[:4] == [
            "no pipes at width 4: 0 s",
            "",
            "  Lower bound     0 s: no order of the pipes takes less",
            "  Critical path   0 s: none",
        ]
        assert forecast(plan("")).lower_bound_seconds == 0.0

    def test_text(self) -> None:
        assert self.forecast(2).text() == (
            "5 pipes at width 2: 16 s\n"
            "\n"
            "  Lower bound     16 s: no order of the pipes takes less\n"
            "  Critical path   16 s: 'a' -> 'b' -> 'd'\n"
            "  Work            25 s: all pipes together\n"
            "  At once         2, 78% of the slots' time in use\n"
            "  Enough width    2: within 5 % of the 16 s that it takes without a limit\n"
            "\n"
            "  width   takes          slots in use\n"
            "      1   25 s           100%\n"
            "      2   16 s            78%\n"
            "      4   16 s            39%\n"
            "      8   16 s            20%\n"
            "     16   16 s            10%\n"
            "     32   16 s             5%"
        )
        assert self.forecast(None).text().startswith("5 pipes without a limit: 16 s\n")

    def test_json_says_the_same(self) -> None:
        found = self.forecast(2)
        document = json.loads(json.dumps(found.to_json()))
        assert document == found.to_json()
        assert document["schedule"][0] == {"pipe_id": "a", "start": 0.0, "end": 1.0}
        assert document["widths"][0] == {
            "width": 1,
            "makespan_seconds": 25.0,
            "utilisation": 1.0,
        }


class TestRefusals:
    endless = (
        "a plan of strategy {!r} starts consumers before their producers: its streams run until "
        "they are stopped, so its length cannot be forecast\n"
        "  Fix: forecast a plan of forward order, such as one of strategy 'batch'."
    )
    odd_width = (
        "width must be a whole number of at least 1, or None, not {!r}\n"
        "  Fix: give the number of the pool's slots."
    )

    @pytest.mark.parametrize("strategy", ["streaming", "hybrid"])
    def test_streams_do_not_end(self, strategy: str) -> None:
        made = plan("a -> b", strategy, tags={"a": {"processing_mode": "streaming"}})
        with pytest.raises(ForecastError) as refused:
            forecast(made)
        assert str(refused.value) == self.endless.format(strategy)

    def test_all_problems_are_listed(self) -> None:
        with pytest.raises(ForecastError) as refused:
            forecast(plan("a -> b", "streaming"), 0, {"b": -1})
        assert refused.value.problems == (
            self.endless.format("streaming"),
            f"pipe 'b': the given duration must be a positive number of seconds, not -1{FIX}",
            self.odd_width.format(0),
        )

    @pytest.mark.parametrize("width", [0, -1, True, 2.0, "4"])
    def test_width_is_a_positive_whole_number(self, width: object) -> None:
        with pytest.raises(ForecastError) as refused:
            forecast(plan("a"), width)  # type: ignore[arg-type]
        assert str(refused.value) == self.odd_width.format(width)

    def test_plan_of_an_own_strategy_is_judged_by_its_order(self) -> None:
        pipes = graph("a -> b")
        forward = (Generation(0, ("a",)), Generation(1, ("b",)))
        assert forecast(ExecutionPlan(("a", "b"), forward, pipes, "own")).makespan_seconds == 2.0
        backward = (Generation(0, ("b",)), Generation(1, ("a",)))
        with pytest.raises(ForecastError):
            forecast(ExecutionPlan(("a", "b"), backward, pipes, "own"))
