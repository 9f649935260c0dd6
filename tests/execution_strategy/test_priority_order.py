"""The priority order: urgent pipes, and what they wait for, first; dependencies before all."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import PriorityExecutionStrategy
from kindling_airflow.pipe_graph import PipeGraphBuilder
from tests.builders import pipes, plan


def _tags(**priorities: Any) -> dict[str, dict[str, Any]]:
    return {pipe_id: {"priority": priority} for pipe_id, priority in priorities.items()}


def _priority(drawing: str, **priorities: Any) -> ExecutionPlan:
    return plan(drawing, "priority", _tags(**priorities))


def _order(made: ExecutionPlan) -> list[str]:
    return [" ".join(generation) for generation in made.generations]


def test_each_batch_generation_is_split_with_the_most_urgent_first() -> None:
    """
    a - b - urgent
    c - d
    """
    made = _priority("a -> b -> urgent, c -> d", urgent=9)
    assert _order(made) == ["a", "c", "b", "d", "urgent"]
    assert [g.dependencies for g in made.generations] == [(), (), ("a",), ("c",), ("b",)]
    assert made.strategy == "priority"
    assert made.direction() == "forward"
    assert made.metadata == {
        "execution_order": "forward",
        "priority_levels": (9, 0),
        "generation_priorities": (9, 0, 9, 0, 9),
        "cache_recommendations": (),
        "cache_candidate_count": 0,
        "cache_candidate_entities": (),
    }


def test_without_tags_it_is_the_batch_order() -> None:
    drawing = "a -> b -> d, a -> c, e"
    made = _priority(drawing)
    assert made.generations == plan(drawing).generations
    assert made.metadata["priority_levels"] == (0,)
    assert made.metadata["generation_priorities"] == (0, 0, 0)


def test_producer_is_as_urgent_as_the_most_urgent_of_all_that_depend_on_it() -> None:
    r"""
    a - b - c (5)         e (3)
     \_ d (7)             f (-1)
    """
    made = _priority("a -> b -> c, a -> d, e, f", c=5, d=7, e=3, f=-1)
    assert _order(made) == ["a", "e", "f", "d", "b", "c"]
    assert made.metadata["priority_levels"] == (7, 5, 3, -1)
    assert made.metadata["generation_priorities"] == (7, 3, -1, 7, 5, 5)


def test_urgent_producer_does_not_make_its_consumers_urgent() -> None:
    assert _order(_priority("a -> b, c -> d", a=1)) == ["a", "c", "b d"]


def test_priority_never_comes_before_a_dependency() -> None:
    assert _order(_priority("a -> b, c", a=-5, b=-5)) == ["c", "a", "b"]
    assert _order(_priority("a -> b, c", a=-5, b=100)) == ["a", "c", "b"]


def test_equally_urgent_pipes_stay_together_in_the_order_requested() -> None:
    made = _priority("d, a, c, b, e", a=1.0, b=1, c=0, e=0.5)
    assert _order(made) == ["a b", "e", "d c"]
    assert made.metadata["priority_levels"] == (1, 0.5, 0)


def test_pipes_outside_of_the_plan_lend_no_urgency() -> None:
    whole = PipeGraphBuilder(pipes("a -> b -> urgent, c", _tags(urgent=9))).build_graph()
    made = PriorityExecutionStrategy().plan(whole, ["c", "a", "b"])
    assert _order(made) == ["c a", "b"]
    assert made.validate()


def test_priorities_may_be_of_any_size() -> None:
    assert _order(_priority("a, b, c", a=1e308, b=10**400, c=-(10**400))) == ["b", "a", "c"]


def test_priorities_that_are_no_numbers_are_all_named() -> None:
    tags = {"a": True, "b": "1", "c": None, "d": {}, "e": [1], "f": 1}
    with pytest.raises(GraphValidationError) as refused:
        _priority("a, b, c, d, e, f", **tags)
    fix = "  Fix: correct the tag, or leave it out for 0; larger is more urgent."
    must_be = "tag priority must be a finite number, not"
    assert str(refused.value) == (
        "5 problems in the pipe graph:\n"
        f"1. pipe 'a': {must_be} True\n{fix}\n"
        f"2. pipe 'b': {must_be} '1'\n{fix}\n"
        f"3. pipe 'c': {must_be} None\n{fix}\n"
        f"4. pipe 'd': {must_be} {{}}\n{fix}\n"
        f"5. pipe 'e': {must_be} (1,)\n{fix}"
    )


def test_shared_entities_are_recommended_as_under_batch() -> None:
    drawing = "[raw] -> a, [raw] -> b, a -> c, a -> d"
    budget = 5
    made = plan(drawing, PriorityExecutionStrategy(memory_budget_bytes=budget))
    batch = plan(drawing).metadata
    assert made.metadata["cache_candidate_count"] == 2
    assert made.metadata["cache_recommendations"] == batch["cache_recommendations"]
