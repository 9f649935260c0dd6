"""What holds for every plan, whatever the pipes are. The oracles look at the declarations alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from tests.strategies import acyclic_pipes, pipe_ids

STRATEGIES = ["batch", "streaming"]


@st.composite
def _plans(draw: st.DrawFn, strategy: str) -> tuple[DataPipesRegistry, ExecutionPlan]:
    """Draw pipes, a request for some of them in any order, and return them with their plan."""
    ids = draw(st.sampled_from([None, pipe_ids()]))
    registry = draw(acyclic_pipes(ids))
    shuffled = draw(st.permutations(registry.get_pipe_ids()))
    requested = shuffled[: draw(st.integers(0, len(shuffled)))]
    return registry, ExecutionPlanGenerator(registry).generate_plan(requested, strategy)


def _data_edges(registry: DataPipesRegistry, plan: ExecutionPlan) -> set[tuple[str, str]]:
    """Return (producer, consumer) for each read between two pipes of the plan, by comparison."""
    declared = [pipe for pipe in registry if pipe.pipeid in plan.pipe_ids]
    return {
        (producer.pipeid, consumer.pipeid)
        for producer in declared
        for consumer in declared
        if producer is not consumer and producer.output_entity_id in consumer.input_entity_ids
    }


def _earliest(pipes: tuple[str, ...], waits: set[tuple[str, str]]) -> dict[str, int]:
    """Return the earliest generations by brute force: push each pipe behind what it waits for.

    Args:
        pipes: all pipes.
        waits: (earlier, later) for each pair in which the later pipe waits for the earlier one.
    """
    numbers = dict.fromkeys(pipes, 0)
    for _ in pipes:
        for earlier, later in waits:
            numbers[later] = max(numbers[later], numbers[earlier] + 1)
    return numbers


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_every_pipe_is_in_exactly_one_generation(strategy: str, data: st.DataObject) -> None:
    _, plan = data.draw(_plans(strategy))
    placed = [pipe_id for generation in plan.generations for pipe_id in generation]
    assert sorted(placed) == sorted(plan.pipe_ids)
    assert all(plan.generations)
    assert [generation.number for generation in plan.generations] == list(
        range(len(plan.generations))
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_every_data_edge_goes_strictly_in_the_direction_of_the_plan(
    strategy: str, data: st.DataObject
) -> None:
    registry, plan = data.draw(_plans(strategy))
    edges = _data_edges(registry, plan)
    assert {(edge.from_pipe, edge.to_pipe) for edge in plan.graph.edges} == edges
    for producer, consumer in edges:
        first, second = (producer, consumer) if strategy == "batch" else (consumer, producer)
        first_number, second_number = map(plan.find_pipe_generation, (first, second))
        assert first_number is not None
        assert second_number is not None
        assert first_number < second_number


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_each_pipe_is_in_its_earliest_generation(strategy: str, data: st.DataObject) -> None:
    registry, plan = data.draw(_plans(strategy))
    edges = _data_edges(registry, plan)
    waits = edges if strategy == "batch" else {(consumer, producer) for producer, consumer in edges}
    earliest = _earliest(plan.pipe_ids, waits)
    assert {p: plan.find_pipe_generation(p) for p in plan.pipe_ids} == earliest


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_order_inside_a_generation_is_the_order_requested(
    strategy: str, data: st.DataObject
) -> None:
    _, plan = data.draw(_plans(strategy))
    for generation in plan.generations:
        assert generation.pipe_ids == tuple(p for p in plan.pipe_ids if p in generation)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_generation_waits_for_exactly_what_its_pipes_wait_for(
    strategy: str, data: st.DataObject
) -> None:
    registry, plan = data.draw(_plans(strategy))
    edges = _data_edges(registry, plan)
    waits = edges if strategy == "batch" else {(consumer, producer) for producer, consumer in edges}
    for generation in plan.generations:
        assert len(set(generation.dependencies)) == len(generation.dependencies)
        assert set(generation.dependencies) == {
            earlier for earlier, later in waits if later in generation
        }


@given(acyclic_pipes())
def test_streaming_plan_of_a_graph_is_as_deep_as_its_batch_plan(
    registry: DataPipesRegistry,
) -> None:
    generator = ExecutionPlanGenerator(registry)
    batch, streaming = generator.generate_batch_plan(), generator.generate_streaming_plan()
    assert batch.total_generations() == streaming.total_generations()
    assert batch.graph == streaming.graph


@given(acyclic_pipes())
def test_planning_again_gives_an_equal_plan(registry: DataPipesRegistry) -> None:
    generator = ExecutionPlanGenerator(registry)
    one, other = generator.generate_batch_plan(), generator.generate_batch_plan()
    assert one == other
    assert one.digest == other.digest
