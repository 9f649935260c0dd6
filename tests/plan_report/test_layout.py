"""Where pipes stand on the page: in their generation's band, apart from each other."""

from __future__ import annotations

import json
import math
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.plan_report.layout import BAND_GAP, BOX_HEIGHT, Layout, layout_of, spread
from kindling_airflow.plan_report.routing import lanes_of, route
from tests.builders import graph, plan
from tests.strategies import acyclic_pipes, pipe_ids

GRAPHS = Path(__file__).resolve().parent.parent / "graphs"


@st.composite
def plans(draw: st.DrawFn) -> ExecutionPlan:
    """Draw a plan; some have a generation that is wide enough for several columns."""
    registry = draw(acyclic_pipes(draw(st.sampled_from([None, pipe_ids()]))))
    for n in range(draw(st.sampled_from([0, 0, 3, 40]))):
        registry.register_pipe(f"further {n}", output_entity_id=f"further entity {n}")
    strategy = draw(st.sampled_from(["batch", "streaming", "priority"]))
    return ExecutionPlanGenerator(registry).generate_plan(None, strategy)


def real_plan(name: str, strategy: str = "batch") -> ExecutionPlan:
    registry = DataPipesRegistry()
    for record in json.loads((GRAPHS / f"{name}.json").read_text("utf-8")):
        registry.register_pipe(**record)
    return ExecutionPlanGenerator(registry).generate_plan(None, strategy)


def steepness(made: ExecutionPlan, layout: Layout) -> float:
    """Return how far an edge goes up or down in the mean."""
    ends = [(layout.places[e.from_pipe], layout.places[e.to_pipe]) for e in made.graph.edges]
    return sum(abs(a.y - b.y) for a, b in ends) / len(ends)


def check_places(made: ExecutionPlan, layout: Layout) -> None:
    assert layout.places.keys() == set(made.pipe_ids)
    assert len(layout.bands) == made.total_generations()
    for one, other in pairwise(layout.bands):
        assert one.x + one.width + BAND_GAP == other.x
    for generation, band in zip(made.generations, layout.bands, strict=True):
        for pipe_id in generation:
            place = layout.places[pipe_id]
            assert band.x <= place.x
            assert place.x + place.width <= band.x + band.width
            assert 0 <= place.y <= layout.height - BOX_HEIGHT
    ends = [band.x + band.width for band in layout.bands]
    assert layout.width == max(ends, default=0)
    columns: dict[int, list[int]] = {}
    for place in layout.places.values():
        columns.setdefault(place.x, []).append(place.y)
    for heights in columns.values():
        assert all(b - a > BOX_HEIGHT for a, b in pairwise(sorted(heights)))


def check_routes(made: ExecutionPlan, layout: Layout) -> None:
    """An edge passes every generation between its ends, and touches no box on its way."""
    number = {p: generation.number for generation in made.generations for p in generation}
    long = {
        (e.from_pipe, e.to_pipe)
        for e in made.graph.edges
        if abs(number[e.from_pipe] - number[e.to_pipe]) > 1
    }
    assert layout.routes.keys() == long
    for (producer, consumer), heights in layout.routes.items():
        first, last = number[producer], number[consumer]
        passed = range(first + 1, last) if first < last else range(first - 1, last, -1)
        assert len(heights) == len(passed)
        for n, height in zip(passed, heights, strict=True):
            for pipe_id in made.generations[n]:
                top = layout.places[pipe_id].y
                assert not top <= height <= top + BOX_HEIGHT


@given(plans())
def test_every_pipe_has_a_place_of_its_own_in_the_band_of_its_generation(
    made: ExecutionPlan,
) -> None:
    layout = layout_of(made)
    check_places(made, layout)
    check_routes(made, layout)
    assert layout_of(made) == layout


@pytest.mark.parametrize("name", ["healthcare_1211", "lakehouse_677"])
@pytest.mark.parametrize("strategy", ["batch", "streaming"])
def test_plans_of_real_projects_fit_a_screen_and_have_flat_edges(name: str, strategy: str) -> None:
    made = real_plan(name, strategy)
    layout = layout_of(made)
    check_places(made, layout)
    check_routes(made, layout)
    assert 1 < layout.width / layout.height < 3
    shuffled = Layout(
        dict(zip(layout.places, _in_order_of_names(made, layout), strict=True)), (), {}, 0, 0
    )
    assert steepness(made, layout) < 0.7 * steepness(made, shuffled)


def _in_order_of_names(made: ExecutionPlan, layout: Layout) -> list[object]:
    """Return the same places, in each generation taken by its pipes in alphabetical order."""
    taken = {}
    for generation in made.generations:
        free = sorted((layout.places[p] for p in generation), key=lambda place: (place.y, place.x))
        taken.update(zip(sorted(generation), free, strict=True))
    return [taken[pipe_id] for pipe_id in layout.places]


def test_parallel_chains_do_not_cross() -> None:
    r"""
    a1   b1   c1 are asked for in three orders, and still a, b and c are three lines.
    """
    made = plan("a1 -> a2 -> a3, b1 -> b2 -> b3, c1 -> c2 -> c3")
    shuffled = ExecutionPlan(
        made.pipe_ids,
        (
            Generation(0, ("a1", "b1", "c1")),
            Generation(1, ("c2", "a2", "b2")),
            Generation(2, ("b3", "c3", "a3")),
        ),
        made.graph,
        "batch",
    )
    places = layout_of(shuffled).places
    for chain in "abc":
        assert len({places[f"{chain}{n}"].y for n in (1, 2, 3)}) == 1


def test_low_drawings_are_pulled_apart() -> None:
    chains = ", ".join(f"{c}0 -> {c}1 -> {c}2 -> {c}3" for c in "ab")
    layout = layout_of(plan(chains))
    assert layout.places["b0"].y - layout.places["a0"].y > 60


def test_wide_generation_goes_into_columns() -> None:
    made = plan(", ".join(f"p{n}" for n in range(200)))
    layout = layout_of(made)
    columns = {place.x for place in layout.places.values()}
    assert len(columns) > 3
    assert 0.5 < layout.width / layout.height < 4


def test_empty_plan_and_empty_generation_have_a_drawing() -> None:
    assert layout_of(plan("")) == Layout({}, (), {}, 0, BOX_HEIGHT)
    made = ExecutionPlan(("a",), (Generation(0, ()), Generation(1, ("a",))), graph("a"), "own")
    assert len(layout_of(made).bands) == 2


class TestSpread:
    @pytest.mark.parametrize(
        ("wanted", "places"),
        [
            ([], []),
            ([3], [3]),
            ([0, 10], [0, 10]),
            ([5, 5], [3, 7]),
            ([0, 0, 0], [-4, 0, 4]),
            ([0, 1, 20, 20], [-1.5, 2.5, 18, 22]),
            ([0, 4, 4], [-4 / 3, 8 / 3, 20 / 3]),
        ],
    )
    def test_places(self, wanted: list[float], places: list[float]) -> None:
        assert spread(wanted, 4) == pytest.approx(places)

    @given(st.lists(st.integers(-50, 50), max_size=8).map(sorted))
    def test_keeps_the_distance(self, wanted: list[int]) -> None:
        places = spread(wanted, 4)
        assert len(places) == len(wanted)
        assert all(b - a >= 4 - 1e-9 for a, b in pairwise(places))

    @given(st.lists(st.integers(-20, 20), max_size=6).map(sorted), st.data())
    def test_no_other_places_are_nearer(self, wanted: list[int], data: st.DataObject) -> None:
        def misses(places: list[float]) -> float:
            return sum((a - b) ** 2 for a, b in zip(places, wanted, strict=True))

        steps = data.draw(st.lists(st.integers(4, 20), min_size=len(wanted), max_size=len(wanted)))
        start = data.draw(st.integers(-60, 60))
        other = [start + sum(steps[:n]) for n in range(len(wanted))]
        assert misses(spread(wanted, 4)) <= misses(list(map(float, other))) + 1e-6


class TestRouting:
    lanes = lanes_of([0, 40, 200], 26)

    def test_lanes_are_what_boxes_leave_free(self) -> None:
        assert self.lanes == [(-math.inf, -6), (32, 34), (72, 194), (232, math.inf)]

    def test_space_that_is_too_narrow_is_taken_in_the_middle(self) -> None:
        assert lanes_of([0, 30], 26)[1] == (28, 28)

    def test_generation_without_boxes_is_free(self) -> None:
        assert lanes_of([], 26) == [(-math.inf, math.inf)]

    @pytest.mark.parametrize(
        ("wanted", "taken"),
        [(-50, -50), (10, -6), (16, 32), (33, 33), (52, 34), (54, 72), (100, 100), (999, 999)],
    )
    def test_nearest_free_height_is_taken(self, wanted: int, taken: int) -> None:
        assert route(wanted, wanted, [self.lanes]) == (taken,)

    def test_way_is_as_straight_as_can_be(self) -> None:
        free = lanes_of([], 26)
        assert route(0, 40, [free, free, free]) == (10, 20, 30)
        assert route(0, 40, []) == ()

    @given(st.lists(st.integers(0, 300), max_size=6), st.integers(-50, 400))
    def test_no_free_height_is_nearer(self, tops: list[int], wanted: int) -> None:
        apart = zip([-100, *sorted(tops)], sorted(tops), strict=False)
        rows = [top for before, top in apart if top - before > 38]
        [taken] = route(wanted, wanted, [lanes_of(rows, 26)])
        free = [h for h in range(-60, 440) if not any(t - 6 < h < t + 32 for t in rows)]
        assert abs(taken - wanted) <= min(abs(h - wanted) for h in free)


def test_boxes_of_different_generations_do_not_overlap() -> None:
    layout = layout_of(real_plan("lakehouse_677"))
    spans = [(band.x, band.x + band.width) for band in layout.bands]
    assert all(a[1] < b[0] or b[1] < a[0] for a, b in combinations(spans, 2))
