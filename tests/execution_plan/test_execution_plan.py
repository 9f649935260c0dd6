"""Plans: queries, validation in every mode, immutability, equality and digest."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from kindling_airflow.errors import PlanValidationError
from kindling_airflow.execution_plan import PLAN_SCHEMA_VERSION, ExecutionPlan, Generation
from kindling_airflow.execution_plan.validation import rule_problems
from kindling_airflow.pipe_graph import PipeGraph
from tests.builders import graph, plan

CHAIN = "a -> b -> c"


def _plan(
    *generations: Sequence[str],
    drawing: str = CHAIN,
    pipe_ids: Sequence[str] = ("a", "b", "c"),
    strategy: str = "batch",
    metadata: Any = None,
) -> ExecutionPlan:
    """Return a plan with these generations, right or wrong."""
    numbered = tuple(Generation(n, tuple(ids)) for n, ids in enumerate(generations))
    return ExecutionPlan(tuple(pipe_ids), numbered, graph(drawing), strategy, metadata or {})


def _refusal(broken: ExecutionPlan) -> str:
    with pytest.raises(PlanValidationError) as refused:
        broken.validate()
    return str(refused.value)


class TestQueries:
    def test_empty_plan_is_valid_and_has_figures(self) -> None:
        empty = plan("")
        assert empty.validate()
        assert empty.total_pipes() == empty.total_generations() == empty.max_parallelism() == 0
        assert empty.get_summary() == {
            "strategy": "batch",
            "total_pipes": 0,
            "total_generations": 0,
            "max_parallelism": 0,
            "avg_pipes_per_generation": 0.0,
            "generation_sizes": [],
            "execution_order": "forward",
            "cache_recommendations": [],
            "cache_candidate_count": 0,
            "cache_candidate_entities": [],
        }

    def test_summary_has_figures_and_metadata(self) -> None:
        assert plan("a -> b, a -> c, a -> d -> e", "streaming").get_summary() == {
            "strategy": "streaming",
            "total_pipes": 5,
            "total_generations": 3,
            "max_parallelism": 3,
            "avg_pipes_per_generation": 5 / 3,
            "generation_sizes": [3, 1, 1],
            "execution_order": "reverse",
            "checkpoint_order": "downstream_first",
            "cache_recommendations": [],
        }

    def test_metadata_cannot_overwrite_figures(self) -> None:
        summary = _plan("a", "b", "c", metadata={"total_pipes": 99, "own": [1]}).get_summary()
        assert summary["total_pipes"] == 3
        assert summary["own"] == [1]

    def test_summary_is_a_copy(self) -> None:
        chain = _plan("a", "b", "c", metadata={"own": {"x": [1]}})
        chain.get_summary()["own"]["x"].append(2)
        assert chain.get_summary()["own"] == {"x": [1]}

    def test_generations_and_pipes_are_found_or_none(self) -> None:
        chain = plan(CHAIN)
        second = chain.get_generation(1)
        assert second is not None
        assert second.pipe_ids == ("b",)
        assert second.dependencies == ("a",)
        assert chain.get_generation(3) is None
        assert chain.get_generation(-1) is None
        assert chain.find_pipe_generation("c") == 2
        assert chain.find_pipe_generation("x") is None


class TestValidation:
    def test_batch_plan_in_reverse_is_refused(self) -> None:
        assert _refusal(_plan("c", "b", "a")) == (
            "2 problems in the plan:\n"
            "1. pipe 'b' (generation 1) reads entity 'a.out' of pipe 'a' (generation 2)\n"
            "  Fix: under strategy 'batch' the producer belongs in an earlier generation than its "
            "consumer.\n"
            "2. pipe 'c' (generation 0) reads entity 'b.out' of pipe 'b' (generation 1)\n"
            "  Fix: under strategy 'batch' the producer belongs in an earlier generation than its "
            "consumer."
        )

    def test_streaming_plan_in_forward_order_is_refused(self) -> None:
        assert _refusal(_plan("a", "bc", strategy="streaming")) == (
            "2 problems in the plan:\n"
            "1. pipe 'b' (generation 1) reads entity 'a.out' of pipe 'a' (generation 0)\n"
            "  Fix: under strategy 'streaming' the producer belongs in a later generation than its "
            "consumer.\n"
            "2. pipe 'c' (generation 1) reads entity 'b.out' of pipe 'b' (generation 1)\n"
            "  Fix: under strategy 'streaming' the producer belongs in a later generation than its "
            "consumer."
        )

    def test_streaming_plan_may_start_consumers_before_producers(self) -> None:
        assert _plan("c", "b", "a", strategy="streaming").validate()

    def test_plan_of_a_strategy_without_an_order_only_keeps_dependents_apart(self) -> None:
        assert _plan("b", "a", "c", strategy="mine").validate()
        assert _refusal(_plan("ab", "c", strategy="mine")) == (
            "pipe 'b' (generation 0) reads entity 'a.out' of pipe 'a' (generation 0)\n"
            "  Fix: under strategy 'mine' the producer belongs in another generation than its "
            "consumer."
        )

    @pytest.mark.parametrize(
        ("order", "generations"), [("forward", ("c", "b", "a")), ("reverse", ("a", "b", "c"))]
    )
    def test_strategy_of_any_name_can_commit_itself_to_an_order(
        self, order: str, generations: tuple[str, ...]
    ) -> None:
        metadata = {"execution_order": order}
        assert _plan(*reversed(generations), strategy="mine", metadata=metadata).validate()
        wrong = _plan(*generations, strategy="mine", metadata=metadata)
        assert wrong.direction() == order
        assert "under strategy 'mine'" in _refusal(wrong)

    def test_metadata_cannot_turn_a_batch_plan_around(self) -> None:
        turned = _plan("c", "b", "a", metadata={"execution_order": "reverse"})
        assert turned.direction() == "forward"
        assert _refusal(turned).startswith("2 problems in the plan:")

    def test_unknown_order_commits_to_nothing(self) -> None:
        metadata = {"execution_order": "sideways"}
        assert _plan("a", "b", "c", strategy="mine", metadata=metadata).direction() is None

    def test_pipe_in_no_generation(self) -> None:
        assert _refusal(_plan("a", "b")) == (
            "pipe 'c' is in no generation\n  Fix: put each pipe into exactly one generation."
        )

    def test_pipe_in_two_generations(self) -> None:
        assert _refusal(_plan("a", "b", "ca")) == (
            "pipe 'a' is in generation 0 and again in generation 2\n"
            "  Fix: put each pipe into exactly one generation."
        )

    def test_pipe_twice_in_one_generation(self) -> None:
        assert _refusal(_plan("a", "b", "cc")) == (
            "pipe 'c' is in generation 2 and again in generation 2\n"
            "  Fix: put each pipe into exactly one generation."
        )

    def test_pipe_that_the_plan_does_not_list(self) -> None:
        assert _refusal(_plan("a", "b", "c", pipe_ids=["a", "b"])) == (
            "pipe 'c' is in generation 2 but not in the plan's pipe_ids\n"
            "  Fix: list it in pipe_ids, or take it out of the generation."
        )

    def test_pipe_that_the_plan_lists_more_than_once(self) -> None:
        assert _refusal(_plan("a", "b", "c", pipe_ids=["a", "b", "c", "b", "b"])) == (
            "pipe 'b' is listed 3 times in pipe_ids\n  Fix: list each pipe once."
        )

    def test_pipe_that_the_graph_does_not_have(self) -> None:
        assert _refusal(_plan("a", "b", "cx", pipe_ids=["a", "b", "c", "x"])) == (
            "pipe 'x' is in the plan but not in its graph\n"
            "  Fix: build the graph with all pipes of the plan."
        )

    def test_generations_that_are_numbered_wrongly(self) -> None:
        numbered = (Generation(0, ("a",)), Generation(2, ("b",)), Generation(1, ("c",)))
        assert _refusal(ExecutionPlan(("a", "b", "c"), numbered, graph(CHAIN), "mine")) == (
            "2 problems in the plan:\n"
            "1. generation number 1 is at position 2\n"
            "  Fix: number the generations from 0 in their order.\n"
            "2. generation number 2 is at position 1\n"
            "  Fix: number the generations from 0 in their order."
        )

    def test_metadata_that_json_cannot_express(self) -> None:
        with pytest.raises(PlanValidationError) as refused:
            _plan("a", "b", "c", metadata={"when": object, "own": [{1: {2: 3}}]})
        assert str(refused.value) == (
            "3 problems in the plan:\n"
            "1. metadata['own'][0]: key 1 must be a string, not int\n"
            "  Fix: put it in quotes.\n"
            "2. metadata['own'][0][1]: key 2 must be a string, not int\n"
            "  Fix: put it in quotes.\n"
            "3. metadata['when'] is of type type, which JSON cannot express\n"
            "  Fix: write it as text, in quotes."
        )
        with pytest.raises(PlanValidationError) as refused:
            _plan("a", "b", "c", metadata=["x"])
        assert str(refused.value) == "metadata must be a mapping, not list: ['x']"

    def test_plan_without_metadata_has_none(self) -> None:
        made = ExecutionPlan((), (), graph(""), "mine", None)  # type: ignore[arg-type]
        assert made.metadata == {}

    @pytest.mark.parametrize("field", ["pipe_ids", "dependencies"])
    def test_string_where_a_list_belongs(self, field: str) -> None:
        with pytest.raises(PlanValidationError) as refused:
            Generation(**{"number": 0, "pipe_ids": (), field: "abc"})
        assert str(refused.value) == (
            f"{field} is the string 'abc' where a list belongs\n  Fix: write ['abc']"
        )
        with pytest.raises(PlanValidationError) as refused:
            ExecutionPlan("abc", (), graph(CHAIN), "batch")  # type: ignore[arg-type]
        assert str(refused.value) == (
            "pipe_ids is the string 'abc' where a list belongs\n  Fix: write ['abc']"
        )

    def test_everything_that_is_wrong_is_reported_at_once(self) -> None:
        broken = _plan("ba", "ax", pipe_ids=["a", "b", "c", "c"])
        assert _refusal(broken) == (
            "5 problems in the plan:\n"
            "1. pipe 'a' is in generation 0 and again in generation 1\n"
            "  Fix: put each pipe into exactly one generation.\n"
            "2. pipe 'b' (generation 0) reads entity 'a.out' of pipe 'a' (generation 0)\n"
            "  Fix: under strategy 'batch' the producer belongs in an earlier generation than its "
            "consumer.\n"
            "3. pipe 'c' is in no generation\n"
            "  Fix: put each pipe into exactly one generation.\n"
            "4. pipe 'c' is listed 2 times in pipe_ids\n"
            "  Fix: list each pipe once.\n"
            "5. pipe 'x' is in generation 1 but not in the plan's pipe_ids\n"
            "  Fix: list it in pipe_ids, or take it out of the generation."
        )

    def test_usual_plan_is_found_right_without_a_look_at_each_pipe(self) -> None:
        def numbers() -> dict[str, int]:
            raise AssertionError("a plan of 100,000 pipes would take a third longer")

        assert rule_problems(plan(f"{CHAIN}, a -> d"), numbers) == []
        with pytest.raises(AssertionError, match="a third longer"):
            rule_problems(plan(CHAIN, "streaming"), numbers)


class TestImmutability:
    def test_lists_handed_in_are_not_shared(self) -> None:
        ids, inner = ["a", "b", "c"], {"x": [1]}
        members = [["a"], ["b"], ["c"]]
        generations = [Generation(n, m) for n, m in enumerate(members)]  # type: ignore[arg-type]
        made = ExecutionPlan(ids, generations, graph(CHAIN), "batch", {"own": inner})  # type: ignore[arg-type]
        before = made.digest
        ids.append("d")
        generations.clear()
        members[0].append("d")
        inner["x"].append(2)
        assert made.digest == before
        assert made.validate()

    @pytest.mark.parametrize(
        "field", ["pipe_ids", "generations", "graph", "strategy", "metadata", "_numbers", "new"]
    )
    def test_no_attribute_can_be_set_or_deleted(self, field: str) -> None:
        chain = plan(CHAIN)
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(chain, field, None)
        with pytest.raises((FrozenInstanceError, TypeError)):
            delattr(chain, field)

    def test_generation_cannot_change(self) -> None:
        first = plan(CHAIN).generations[0]
        with pytest.raises(FrozenInstanceError):
            first.pipe_ids = ()  # type: ignore[misc]

    def test_everything_beneath_a_plan_is_a_tuple_a_frozen_mapping_or_a_scalar(self) -> None:
        tags = {"a": {"layer": "gold", "deep": {"list": [1, {"x": [2]}]}}}
        made = plan(f"{CHAIN}, a -> c", tags=tags)
        assert made.metadata["cache_recommendations"]
        for view in ("edges", "adjacency", "entity_consumers", "depths", "topological_order"):
            assert getattr(made.graph, view)
        found = {type(value).__name__ for value in _walk(made, set())}
        assert found == {
            "ExecutionPlan",
            "FrozenDict",
            "FrozenJson",
            "Generation",
            "NoneType",
            "DiGraph",
            "PipeEdge",
            "PipeGraph",
            "PipeMetadata",
            "PipeNode",
            "bool",
            "int",
            "str",
            "tuple",
        }


def _walk(value: Any, seen: set[int]) -> list[Any]:
    if id(value) in seen:
        return []
    seen.add(id(value))
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, (tuple, list, set)):
        inner = list(value)
    elif isinstance(value, PipeGraph):
        inner = [found for name, found in vars(value).items() if not name.startswith("_")]
    elif hasattr(value, "__dataclass_fields__"):
        inner = [getattr(value, name) for name in value.__dataclass_fields__]
    return [value, *(item for child in inner for item in _walk(child, seen))]


class TestEqualityAndDigest:
    @pytest.mark.parametrize("other", [True, 1.0])
    def test_plans_that_python_takes_for_equal_and_json_does_not_are_not_equal(
        self, other: object
    ) -> None:
        first, again = (_plan("a", "b", "c", metadata={"x": {"y": 1}}) for _ in range(2))
        second = _plan("a", "b", "c", metadata={"x": {"y": other}})
        assert first == again
        assert first != second
        assert len({first, again, second}) == 2
        tagged, turned = (plan("a", tags={"a": {"x": value}}) for value in (1, other))
        assert tagged != turned
        assert len({tagged, turned}) == 2

    def test_same_content_is_equal_and_has_one_digest(self) -> None:
        one, other = plan(CHAIN), plan(CHAIN)
        assert one == other
        assert one.digest == other.digest
        assert hash(one) == hash(other)
        assert len({one, other}) == 1

    @pytest.mark.parametrize(
        "other",
        [
            plan(CHAIN, "streaming"),
            plan("a -> b, b -> c, a -> c"),
            plan("a -> b -> d"),
            plan("b -> c, a -> b"),
            _plan("a", "b", "c", metadata={"execution_order": "forward", "more": 1}),
        ],
        ids=["strategy", "edge", "pipe", "order", "metadata"],
    )
    def test_any_difference_shows_in_both(self, other: ExecutionPlan) -> None:
        assert plan(CHAIN) != other
        assert plan(CHAIN).digest != other.digest

    def test_plan_equals_nothing_else(self) -> None:
        assert plan(CHAIN) != plan(CHAIN).to_json()

    def test_plan_survives_pickling(self) -> None:
        chain = plan(CHAIN)
        restored = pickle.loads(pickle.dumps(chain))
        assert restored == chain
        assert restored.find_pipe_generation("c") == 2

    def test_json_document_is_complete(self) -> None:
        made = plan("[raw] -> a -> b", tags={"b": {"layer": "gold"}})
        document = json.loads(json.dumps(made.to_json()))
        assert document == {
            "schema_version": PLAN_SCHEMA_VERSION,
            "digest": made.digest,
            "strategy": "batch",
            "pipe_ids": ["a", "b"],
            "generations": [
                {"number": 0, "pipe_ids": ["a"], "dependencies": []},
                {"number": 1, "pipe_ids": ["b"], "dependencies": ["a"]},
            ],
            "pipes": [
                {"pipeid": "a", "input_entity_ids": ["raw"], "output_entity_id": "a.out"},
                {
                    "pipeid": "b",
                    "input_entity_ids": ["a.out"],
                    "output_entity_id": "b.out",
                    "tags": {"layer": "gold"},
                },
            ],
            "edges": [["a", "b", "a.out"]],
            "entities": {},
            "metadata": {
                "execution_order": "forward",
                "cache_recommendations": [],
                "cache_candidate_count": 0,
                "cache_candidate_entities": [],
            },
        }
