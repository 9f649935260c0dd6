"""Priorities: what the end of the run waits for longest starts first."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import duration_hint
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.translator import Barrier, TranslateOptions, priority_weights, translate
from tests.builders import pipes, plan
from tests.strategies import acyclic_pipes, pipe_ids

LARGEST = 2**31 - 1  # what Airflow's database can hold


def weights(drawing: str, **hints: Any) -> dict[str, int]:
    return priority_weights(plan(drawing, tags=tags(hints)))


def tags(hints: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {pipe_id: {"duration_hint": hint} for pipe_id, hint in hints.items()}


def starts(drawing: str, width: int, **hints: int) -> list[str]:
    """Return the order in which a pool of this width starts the tasks of a drawing.

    The scheduler in few words: whenever slots are free, the ready task of the largest weight
    starts; the first one that is drawn where weights are equal.
    """
    compiled = plan(drawing, tags=tags(hints))
    waiting = list(translate(compiled, TranslateOptions("d", "p", width=width)).tasks())
    running: list[tuple[float, str]] = []
    now, order, done = 0.0, [], set()
    while waiting or running:
        ready = [task for task in waiting if set(task.upstream) <= done]
        if ready and len(running) < width:
            chosen = max(ready, key=lambda task: task.priority_weight)
            waiting.remove(chosen)
            order.append(chosen.task_id)
            running.append((now + hints.get(chosen.task_id, 1), chosen.task_id))
            continue
        now, ended = min(running)
        running.remove((now, ended))
        done.add(ended)
    return order


@st.composite
def plans(draw: st.DrawFn, hints: st.SearchStrategy[Any]) -> ExecutionPlan:
    """Draw a plan of some pipes of a graph, each with a hint or without."""
    drawn = draw(acyclic_pipes(draw(st.sampled_from([None, pipe_ids()]))))
    registry = DataPipesRegistry()
    for pipe in drawn:
        hint = draw(st.none() | hints)
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags=None if hint is None else {"duration_hint": hint},
        )
    everything = ExecutionPlanGenerator(registry).graph_builder.build_graph()
    left_out = draw(st.sampled_from(["", *registry.get_pipe_ids()]))
    chosen = [pipe_id for pipe_id in registry.get_pipe_ids() if pipe_id != left_out]
    return BatchExecutionStrategy().plan(everything, chosen)


def paths_from(some: ExecutionPlan, pipe_id: str) -> list[list[str]]:
    """Return every path from a pipe through the plan, by looking at the declarations alone."""
    nodes = some.graph.nodes
    readers = [
        other
        for other in some.pipe_ids
        if other != pipe_id and nodes[pipe_id].output_entity in nodes[other].input_entities
    ]
    return [[pipe_id]] + [[pipe_id, *rest] for other in readers for rest in paths_from(some, other)]


class TestBarrier:
    def test_the_way_goes_on_through_the_longest_pipe_of_each_generation(self) -> None:
        """
        a (2) -- c (1)        behind the barrier all wait for b, and then for d
        b (5)    d (9)
        """
        made = plan("a -> c, b -> d", tags=tags({"a": 2, "b": 5, "c": 1, "d": 9}))
        assert priority_weights(made, Barrier.GENERATION) == {"a": 11, "b": 14, "c": 1, "d": 9}

    @given(plans(st.integers(1, 1000)))
    def test_inside_of_a_generation_the_longest_pipe_starts_first(
        self, some: ExecutionPlan
    ) -> None:
        found = priority_weights(some, Barrier.GENERATION)
        for generation in some.generations:
            pairs = [(found[p], duration_hint(some.graph.nodes[p].tags)) for p in generation]
            assert [hint for _, hint in sorted(pairs)] == sorted(hint for _, hint in pairs)
        for earlier, later in pairwise(some.generations):
            assert min(found[p] for p in earlier) > max(found[p] for p in later)


class TestWeights:
    def test_without_hints_each_pipe_counts_one(self) -> None:
        assert weights("a -> b -> c, x -> c, lone") == {"a": 3, "b": 2, "c": 1, "x": 2, "lone": 1}

    def test_weight_is_the_longest_way_to_the_end_the_pipe_included(self) -> None:
        r"""
              b (10)
             /      \
        a (1)        d (5)
             \      /
              c (2)
        """
        assert weights("a -> b -> d, a -> c -> d", a=1, b=10, c=2, d=5) == {
            "a": 16,
            "b": 15,
            "c": 7,
            "d": 5,
        }

    def test_parts_of_a_second_are_rounded_up(self) -> None:
        assert weights("a -> b", a=0.001, b=2.5) == {"a": 4, "b": 3}

    def test_what_is_outside_of_the_plan_does_not_count(self) -> None:
        registry = pipes("a -> b -> c", tags=tags({"c": 100}))
        everything = ExecutionPlanGenerator(registry).graph_builder.build_graph()
        part = BatchExecutionStrategy().plan(everything, ["a", "b"])
        assert priority_weights(part) == {"a": 2, "b": 1}

    def test_weights_stay_in_the_database_column_and_still_fall(self) -> None:
        assert weights("a -> b -> c", a=1e12, b=5, c=1e300) == {
            "a": LARGEST,
            "b": LARGEST - 1,
            "c": LARGEST - 2,
        }

    @given(plans(st.integers(1, 10_000) | st.floats(0.001, 500)))
    def test_weight_is_the_longest_of_all_remaining_paths(self, some: ExecutionPlan) -> None:
        def seconds(pipe_id: str) -> int:
            return math.ceil(some.graph.nodes[pipe_id].tags.get("duration_hint", 1))

        assert priority_weights(some) == {
            pipe_id: max(sum(map(seconds, path)) for path in paths_from(some, pipe_id))
            for pipe_id in some.pipe_ids
        }

    @given(plans(st.integers(1, 10**12) | st.floats(1e-300, 1e300)))
    def test_along_every_edge_weights_strictly_fall(self, some: ExecutionPlan) -> None:
        found = priority_weights(some)
        assert found.keys() == set(some.pipe_ids)
        for pipe_id in some.pipe_ids:
            for path in paths_from(some, pipe_id):
                steps = [found[step] for step in path]
                assert steps == sorted(set(steps), reverse=True)
        assert all(1 <= weight <= LARGEST for weight in found.values())

    def test_tasks_carry_the_weights_of_their_pipes(self) -> None:
        some = plan("my table -> b", tags=tags({"b": 7}))
        dag = translate(some, TranslateOptions("d", "p"))
        assert {task.pipe_id: task.priority_weight for task in dag.tasks()} == {
            "my table": 8,
            "b": 7,
        }


class TestNarrowPool:
    def test_long_chain_starts_before_short_work_that_was_declared_first(self) -> None:
        """
        x (5)   y (5)   a (10) -- b (10) -- c (10)
        """
        drawing = "x, y, a -> b -> c"
        hints = {"x": 5, "y": 5, "a": 10, "b": 10, "c": 10}
        assert starts(drawing, 1, **hints) == ["a", "b", "c", "x", "y"]
        assert starts(drawing, 2, **hints) == ["a", "x", "y", "b", "c"]

    def test_of_two_siblings_the_one_with_more_behind_it_starts_first(self) -> None:
        """
        root -- short
            \\-- long -- longer
        """
        assert starts("root -> short, root -> long -> longer", 1) == [
            "root",
            "long",
            "short",
            "longer",
        ]

    def test_equal_weights_keep_the_order_requested(self) -> None:
        assert starts("b, a, c", 1) == ["b", "a", "c"]


class TestHint:
    @pytest.mark.parametrize(
        ("hint", "seconds"), [(5, 5.0), (0.25, 0.25), ("90", 90.0), (10**300, 1e300)]
    )
    def test_is_a_positive_number_of_seconds(self, hint: object, seconds: float) -> None:
        assert duration_hint({"duration_hint": hint}) == seconds

    def test_is_one_second_where_there_is_none(self) -> None:
        assert duration_hint({"layer": "gold"}) == 1.0

    @pytest.mark.parametrize(
        "hint", [0, -1, 0.0, True, False, None, "", "soon", "nan", "inf", [5], {}, 10**400]
    )
    def test_makes_no_sense_otherwise(self, hint: object) -> None:
        assert duration_hint({"duration_hint": hint}) is None
