"""The longest way through a plan, against all ways there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_plan.critical_path import (
    critical_path,
    data_flow,
    is_forward,
    path_through,
    positive_seconds,
)
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from tests.builders import graph, plan
from tests.strategies import acyclic_pipes, pipe_ids

Weighted = tuple[ExecutionPlan, dict[str, int]]

DIAMOND = "a -> b -> d, a -> c -> d"
WEIGHTS = {"a": 1, "b": 10, "c": 2, "d": 5}


@st.composite
def weighted_plans(draw: st.DrawFn) -> Weighted:
    """Draw a plan of some pipes of a graph, and the weight of each."""
    registry = draw(acyclic_pipes(draw(st.sampled_from([None, pipe_ids()])), max_pipes=7))
    everything = ExecutionPlanGenerator(registry).graph_builder.build_graph()
    left_out = draw(st.sampled_from(["", *registry.get_pipe_ids()]))
    chosen = [pipe_id for pipe_id in registry.get_pipe_ids() if pipe_id != left_out]
    made = BatchExecutionStrategy().plan(everything, chosen)
    return made, {pipe_id: draw(st.integers(1, 9)) for pipe_id in chosen}


def all_ways(made: ExecutionPlan) -> Iterator[tuple[str, ...]]:
    """Yield every way from a beginning to an end, by looking at the declarations alone."""
    nodes = made.graph.nodes

    def reads(consumer: str, producer: str) -> bool:
        return (
            consumer != producer and nodes[producer].output_entity in nodes[consumer].input_entities
        )

    def onwards(way: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        behind = [p for p in made.pipe_ids if reads(p, way[-1])]
        if not behind:
            yield way
        for pipe_id in behind:
            yield from onwards((*way, pipe_id))

    for pipe_id in made.pipe_ids:
        if not any(reads(pipe_id, other) for other in made.pipe_ids):
            yield from onwards((pipe_id,))


def length(way: tuple[str, ...], weights: Mapping[str, int]) -> int:
    return sum(weights[pipe_id] for pipe_id in way)


class TestDiamond:
    def test_remaining_and_until_count_the_pipe_itself(self) -> None:
        flow = data_flow(plan(DIAMOND))
        assert flow.remaining(WEIGHTS) == {"a": 16, "b": 15, "c": 7, "d": 5}
        assert flow.until(WEIGHTS) == {"a": 1, "b": 11, "c": 3, "d": 16}

    def test_critical_path_takes_the_longer_branch(self) -> None:
        flow = data_flow(plan(DIAMOND))
        assert critical_path(flow, flow.remaining(WEIGHTS)) == ("a", "b", "d")

    def test_path_through_the_shorter_branch(self) -> None:
        flow = data_flow(plan(DIAMOND))
        until, remaining = flow.until(WEIGHTS), flow.remaining(WEIGHTS)
        assert path_through(flow, "c", until, remaining) == ("a", "c", "d")

    def test_of_equally_long_ways_the_first_named_counts(self) -> None:
        made = plan("a -> b, a -> c")
        flow = data_flow(made)
        assert critical_path(flow, flow.remaining(dict.fromkeys("abc", 1))) == ("a", "b")

    def test_empty_plan_has_an_empty_path(self) -> None:
        flow = data_flow(plan(""))
        assert critical_path(flow, flow.remaining({})) == ()


@given(weighted_plans())
def test_critical_path_is_the_longest_of_all_ways(
    drawn: Weighted,
) -> None:
    made, weights = drawn
    flow = data_flow(made)
    found = critical_path(flow, flow.remaining(weights))
    ways = list(all_ways(made))
    assert found in ways or not ways
    assert length(found, weights) == max((length(way, weights) for way in ways), default=0)


@given(weighted_plans())
def test_path_through_a_pipe_is_the_longest_of_all_ways_that_it_is_on(
    drawn: Weighted,
) -> None:
    made, weights = drawn
    flow = data_flow(made)
    until, remaining = flow.until(weights), flow.remaining(weights)
    ways = list(all_ways(made))
    for pipe_id in made.pipe_ids:
        found = path_through(flow, pipe_id, until, remaining)
        assert found in ways
        assert length(found, weights) == max(length(w, weights) for w in ways if pipe_id in w)
        assert length(found, weights) == until[pipe_id] + remaining[pipe_id] - weights[pipe_id]


def test_what_the_graph_holds_beyond_the_plan_is_left_out() -> None:
    flow = data_flow(BatchExecutionStrategy().plan(graph("a -> b -> c"), ["a", "c"]))
    assert flow.order == ("a", "c")
    assert flow.producers == {"a": (), "c": ()}
    assert flow.consumers == {"a": (), "c": ()}


class TestDirection:
    @pytest.mark.parametrize(
        ("strategy", "forward"),
        [("batch", True), ("priority", True), ("streaming", False), ("hybrid", True)],
    )
    def test_follows_the_strategy(self, strategy: str, forward: bool) -> None:
        assert is_forward(plan("a -> b", strategy)) is forward

    def test_hybrid_plan_with_a_stream_is_not_forward(self) -> None:
        tags = {"a": {"processing_mode": "streaming"}}
        assert not is_forward(plan("a -> b", "hybrid", tags=tags))

    @pytest.mark.parametrize(("order", "forward"), [("ab", True), ("ba", False)])
    def test_strategy_that_commits_to_none_is_judged_by_its_plan(
        self, order: str, forward: bool
    ) -> None:
        generations = tuple(Generation(n, (pipe_id,)) for n, pipe_id in enumerate(order))
        made = ExecutionPlan(("a", "b"), generations, graph("a -> b"), "own")
        assert is_forward(made) is forward

    def test_side_by_side_is_not_forward(self) -> None:
        made = ExecutionPlan(("a", "b"), (Generation(0, ("a", "b")),), graph("a -> b"), "own")
        assert not is_forward(made)

    def test_pipes_outside_of_the_plan_do_not_count(self) -> None:
        made = ExecutionPlan(("b",), (Generation(0, ("b",)),), graph("a -> b -> c"), "own")
        assert is_forward(made)


@pytest.mark.parametrize(("value", "seconds"), [(1, 1.0), ("2.5", 2.5), (0, None), (True, None)])
def test_seconds_are_positive_and_finite(value: object, seconds: float | None) -> None:
    assert positive_seconds(value) == seconds
