"""What holds for the plans of all strategies, whatever the pipes and their tags are.

The oracles look at the declarations alone: they compare inputs with outputs pair by pair, close the
relation by brute force, and push each pipe behind what it waits for until nothing moves.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from tests.strategies import acyclic_pipes

STRATEGIES = ["batch", "streaming", "config_based", "hybrid", "priority"]

Pair = tuple[str, str]


class Drawn(NamedTuple):
    """A request for some of the drawn pipes in any order, and its plan under each strategy."""

    registry: DataPipesRegistry
    plans: Mapping[str, ExecutionPlan]

    @property
    def pipe_ids(self) -> tuple[str, ...]:
        return self.plans["batch"].pipe_ids

    def tag(self, pipe_id: str, name: str) -> Any:
        pipe = self.registry.get_pipe_definition(pipe_id)
        assert pipe is not None
        return pipe.tags.get(name)

    def streams(self) -> set[str]:
        return {p for p in self.pipe_ids if self.tag(p, "processing_mode") == "streaming"}

    def edges(self) -> set[Pair]:
        """Return (producer, consumer) for each read between two pipes of the plan."""
        declared = [pipe for pipe in self.registry if pipe.pipeid in self.pipe_ids]
        return {
            (producer.pipeid, consumer.pipeid)
            for producer in declared
            for consumer in declared
            if producer is not consumer and producer.output_entity_id in consumer.input_entity_ids
        }


@st.composite
def _drawn(draw: st.DrawFn) -> Drawn:
    modes = st.sampled_from([{}, {"processing_mode": "batch"}, {"processing_mode": "streaming"}])
    priorities = st.none() | st.integers(-2, 2) | st.sampled_from([0.5, -1.5, 10**30])
    registry = DataPipesRegistry()
    for pipe in draw(acyclic_pipes()):
        priority = draw(priorities)
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags={**draw(modes), **({} if priority is None else {"priority": priority})},
        )
    shuffled = draw(st.permutations(registry.get_pipe_ids()))
    requested = shuffled[: draw(st.integers(0, len(shuffled)))]
    generator = ExecutionPlanGenerator(registry)
    return Drawn(registry, {s: generator.generate_plan(requested, s) for s in STRATEGIES})


def _closure(pairs: Iterable[Pair]) -> set[Pair]:
    found = set(pairs)
    while True:
        longer = {(a, d) for a, b in found for c, d in found if b == c} - found
        if not longer:
            return found
        found |= longer


def _layered(pipe_ids: Iterable[str], waits: Iterable[Pair]) -> list[tuple[str, ...]]:
    """Return the pipes by earliest layer; ``waits`` are pairs (earlier, later)."""
    numbers = dict.fromkeys(pipe_ids, 0)
    inner = [pair for pair in waits if set(pair) <= numbers.keys()]
    for _ in numbers:
        for earlier, later in inner:
            numbers[later] = max(numbers[later], numbers[earlier] + 1)
    count = max(numbers.values(), default=-1) + 1
    return [tuple(p for p, number in numbers.items() if number == n) for n in range(count)]


def _turned(pairs: Iterable[Pair]) -> set[Pair]:
    return {(later, earlier) for earlier, later in pairs}


def _order(plan: ExecutionPlan) -> list[tuple[str, ...]]:
    return [generation.pipe_ids for generation in plan.generations]


@given(_drawn())
def test_every_pipe_is_in_exactly_one_generation_in_the_order_requested(drawn: Drawn) -> None:
    for plan in drawn.plans.values():
        assert sorted(p for g in plan.generations for p in g) == sorted(drawn.pipe_ids)
        assert [g.number for g in plan.generations] == list(range(len(plan.generations)))
        for generation in plan.generations:
            assert generation.pipe_ids
            assert generation.pipe_ids == tuple(p for p in drawn.pipe_ids if p in generation)


@given(_drawn())
def test_every_plan_is_valid_and_survives_json(drawn: Drawn) -> None:
    for plan in drawn.plans.values():
        assert plan.validate()
        assert json.dumps(ExecutionPlan.from_json(plan.to_json()).to_json()) == json.dumps(
            plan.to_json()
        )


@given(_drawn())
def test_every_edge_goes_in_the_direction_of_the_plan(drawn: Drawn) -> None:
    streams, edges = drawn.streams(), drawn.edges()
    for plan in drawn.plans.values():
        for producer, consumer in edges:
            first, second = plan.find_pipe_generation(producer), plan.find_pipe_generation(consumer)
            assert first is not None
            assert second is not None
            if plan.direction() == "forward":
                assert first < second
            elif plan.direction() == "reverse":
                assert first > second
            else:
                assert plan.direction() == "hybrid"
                assert first > second if consumer in streams else first < second


@given(_drawn())
def test_generation_waits_for_the_neighbours_of_its_pipes_in_earlier_generations(
    drawn: Drawn,
) -> None:
    edges = drawn.edges()
    for plan in drawn.plans.values():
        done: set[str] = set()
        for generation in plan.generations:
            near = {a for a, b in edges | _turned(edges) if b in generation}
            assert set(generation.dependencies) == near & done
            assert len(generation.dependencies) == len(near & done)
            done |= set(generation)


@given(_drawn())
def test_batch_and_streaming_plans_put_each_pipe_into_its_earliest_generation(
    drawn: Drawn,
) -> None:
    edges = drawn.edges()
    assert _order(drawn.plans["batch"]) == _layered(drawn.pipe_ids, edges)
    assert _order(drawn.plans["streaming"]) == _layered(drawn.pipe_ids, _turned(edges))


@given(_drawn())
def test_hybrid_plan_is_the_streams_in_reverse_and_then_the_batch_pipes_forward(
    drawn: Drawn,
) -> None:
    """Each half is laid out by what its pipes wait for, directly or through the other half."""
    reach, plan = _closure(drawn.edges()), drawn.plans["hybrid"]
    streams = tuple(p for p in drawn.pipe_ids if p in drawn.streams())
    assert plan.metadata["streaming_pipes"] == streams
    assert _order(plan) == [
        *_layered(streams, _turned(reach)),
        *_layered([p for p in drawn.pipe_ids if p not in streams], reach),
    ]


@given(_drawn())
def test_config_based_plan_is_that_of_the_mode_which_the_tags_ask_for(drawn: Drawn) -> None:
    streams, plan = drawn.streams(), drawn.plans["config_based"]
    mode = "hybrid" if streams else "batch"
    if streams == set(drawn.pipe_ids) and streams:
        mode = "streaming"
    assert plan.metadata["detected_mode"] == mode
    assert plan.generations == drawn.plans[mode].generations
    tagged = any(drawn.tag(p, "processing_mode") for p in drawn.pipe_ids)
    assert plan.metadata["mode_source"] == ("pipe_tags" if tagged else "default")


@given(_drawn())
def test_priority_plan_refines_the_batch_plan_by_what_is_most_urgent(drawn: Drawn) -> None:
    reach = _closure(drawn.edges())
    urgency = {
        p: max([drawn.tag(q, "priority") or 0 for q in drawn.pipe_ids if q == p or (p, q) in reach])
        for p in drawn.pipe_ids
    }
    expected = [
        (level, tuple(p for p in generation if urgency[p] == level))
        for generation in drawn.plans["batch"].generations
        for level in sorted({urgency[p] for p in generation}, reverse=True)
    ]
    plan = drawn.plans["priority"]
    assert _order(plan) == [pipe_ids for _, pipe_ids in expected]
    assert list(plan.metadata["generation_priorities"]) == [level for level, _ in expected]
    assert list(plan.metadata["priority_levels"]) == sorted(set(urgency.values()), reverse=True)


@given(_drawn(), st.randoms())
def test_edges_decide_and_not_the_order_of_the_declarations(drawn: Drawn, chance: Any) -> None:
    declared = list(drawn.registry)
    chance.shuffle(declared)
    again = DataPipesRegistry()
    for pipe in declared:
        again.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags=pipe.tags,
        )
    for strategy, plan in drawn.plans.items():
        assert ExecutionPlanGenerator(again).generate_plan(drawn.pipe_ids, strategy) == plan


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_chain_of_100_000_pipes_is_planned_on_a_shallow_stack(strategy: str) -> None:
    length, room = 100_000, 60
    registry = DataPipesRegistry()
    for n in range(length):
        tags = {"processing_mode": "streaming" if n % 2 else "batch", "priority": n % 7}
        reads = [f"e{n - 1}" if n else "raw"]
        registry.register_pipe(f"p{n}", input_entity_ids=reads, output_entity_id=f"e{n}", tags=tags)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + room)
    try:
        plan = ExecutionPlanGenerator(registry).generate_plan(None, strategy)
    finally:
        sys.setrecursionlimit(limit)
    assert plan.total_generations() == length
    last = length - 1 if strategy in ("batch", "priority") else 0
    assert plan.find_pipe_generation(f"p{length - 1}") == last
