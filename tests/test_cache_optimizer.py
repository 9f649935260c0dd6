"""Cache recommendations: which entities are shared, where to keep them, and in which order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.cache_optimizer import (
    CacheLevel,
    CacheRecommendation,
    cache_metadata,
    recommend_cache,
)
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.generation_executor.shared_reads import SharedRead, recommended_reads
from kindling_airflow.manifest import Manifest
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder
from tests.builders import pipes, plan
from tests.strategies import acyclic_pipes

# orders has three readers, fx two, daily one.
SHARED = (
    "[orders] -> daily, [orders] -> by_country, [orders] -> report, "
    "[fx] -> report, [fx] -> by_country, daily -> report"
)


def _graph(registry: DataPipesRegistry, sizes: Mapping[str, Any]) -> PipeGraph:
    entities = DataEntityRegistry()
    for entity_id, size in sizes.items():
        entities.register_entity(entity_id, tags={"size_bytes": size})
    return PipeGraphBuilder(registry, entities=entities).build_graph()


def _recommended(
    drawing: str, budget: int | None = None, **sizes: Any
) -> tuple[CacheRecommendation, ...]:
    made = _graph(pipes(drawing), sizes)
    return recommend_cache(made, list(made.nodes), memory_budget_bytes=budget)


def _levels(found: Sequence[CacheRecommendation]) -> list[tuple[str, str]]:
    return [(entry.entity_id, entry.level.value) for entry in found]


def _readers(**counts: int) -> str:
    """Return a drawing in which so many pipes read each of these external entities."""
    return ", ".join(f"[{e}] -> {e}{n}" for e, count in counts.items() for n in range(count))


class TestCandidates:
    def test_entities_with_two_or_more_readers_are_recommended(self) -> None:
        assert _recommended(SHARED) == (
            CacheRecommendation(
                entity_id="orders",
                consumers=("daily", "by_country", "report"),
                reason="3 pipes read it; no size_bytes tag gives its size",
                level=CacheLevel.MEMORY_AND_DISK,
                size_bytes=None,
                benefit=None,
            ),
            CacheRecommendation(
                entity_id="fx",
                consumers=("by_country", "report"),
                reason="2 pipes read it; no size_bytes tag gives its size",
                level=CacheLevel.MEMORY_AND_DISK,
                size_bytes=None,
                benefit=None,
            ),
        )

    def test_output_of_a_pipe_of_the_plan_counts_as_well(self) -> None:
        [found] = _recommended("a -> b, a -> c")
        assert (found.entity_id, found.consumers) == ("a.out", ("b", "c"))

    def test_pipe_that_reads_its_own_output_is_no_reader(self) -> None:
        """It reads the state of before; the others read what it writes."""
        assert _recommended("a -> a, a -> b") == ()
        [found] = _recommended("a -> a, a -> b, a -> c")
        assert found.consumers == ("b", "c")

    def test_only_the_pipes_of_the_plan_are_readers_in_its_order(self) -> None:
        made = _graph(pipes("[raw] -> a, [raw] -> b, [raw] -> c, [raw] -> d"), {})
        [found] = recommend_cache(made, ["d", "a", "c"])
        assert found.consumers == ("d", "a", "c")
        [found] = recommend_cache(made, ["d", "c", "b", "a"])
        assert found.consumers == ("d", "c", "b", "a")
        assert recommend_cache(made, ["b"]) == ()
        assert recommend_cache(made, []) == ()


class TestOrder:
    def test_known_sizes_come_by_benefit(self) -> None:
        found = _recommended(_readers(a=2, b=4, c=3), a=100, b=10, c=20)
        assert [(r.entity_id, r.size_bytes, r.benefit) for r in found] == [
            ("a", 100, 100),
            ("c", 20, 40),
            ("b", 10, 30),
        ]

    def test_unknown_sizes_come_next_by_the_number_of_readers(self) -> None:
        found = _recommended(_readers(a=2, b=3, c=2, d=9), c=1)
        assert [r.entity_id for r in found] == ["c", "d", "b", "a"]

    def test_what_is_not_worth_keeping_comes_last(self) -> None:
        found = _recommended(
            _readers(big=2, empty=5, unknown=2, small=2), 10, big=11, empty=0, small=1
        )
        assert _levels(found) == [
            ("small", "MEMORY_ONLY"),
            ("unknown", "MEMORY_AND_DISK"),
            ("big", "NONE"),
            ("empty", "NONE"),
        ]

    def test_among_equal_benefits_more_readers_come_first_then_the_order_of_the_graph(self) -> None:
        found = _recommended(_readers(x=2, a=2, c=3, b=2), x=10, a=10, c=5, b=10)
        assert [r.entity_id for r in found] == ["c", "x", "a", "b"]


class TestLevels:
    def test_without_a_budget_what_does_not_fit_may_go_to_disk(self) -> None:
        [found] = _recommended(_readers(a=2), a=10**18)
        assert found.level is CacheLevel.MEMORY_AND_DISK
        assert found.reason == "2 pipes read it; no memory budget limits what is kept"

    def test_budget_goes_to_the_greatest_benefits(self) -> None:
        found = _recommended(_readers(a=2, b=2, c=2), 100, a=70, b=40, c=30)
        assert [(r.entity_id, r.level.value, r.reason) for r in found] == [
            ("a", "MEMORY_ONLY", "2 pipes read it; its 70 bytes fit into the memory budget"),
            (
                "b",
                "MEMORY_AND_DISK",
                "2 pipes read it; its 40 bytes fit only in part beside what is worth more",
            ),
            ("c", "MEMORY_ONLY", "2 pipes read it; its 30 bytes fit into the memory budget"),
        ]

    def test_what_is_as_large_as_the_budget_does_not_exceed_it(self) -> None:
        found = _recommended(_readers(a=3, b=2), 10, a=10, b=10)
        assert _levels(found) == [("a", "MEMORY_ONLY"), ("b", "MEMORY_AND_DISK")]

    def test_what_exceeds_the_whole_budget_goes_to_disk_if_that_saves_two_reads(self) -> None:
        found = _recommended(_readers(a=3, b=2), 1000, a=1001, b=1001)
        assert _levels(found) == [("a", "DISK_ONLY"), ("b", "NONE")]
        assert found[0].reason == "3 pipes read it; its 1,001 bytes exceed the memory budget"
        assert found[1].reason == (
            "2 pipes read it; its 1,001 bytes exceed the memory budget, and to write a copy to "
            "disk costs as much as the one read that it saves"
        )

    def test_empty_entities_are_not_kept(self) -> None:
        for budget in (None, 0, 100):
            [found] = _recommended(_readers(a=2), budget, a=0)
            assert (found.level, found.benefit) == (CacheLevel.NONE, 0)
            assert found.reason == "2 pipes read it; it is empty"

    def test_entity_whose_tags_say_nothing_of_its_size_has_an_unknown_one(self) -> None:
        entities = DataEntityRegistry()
        entities.register_entity("raw", tags={"layer": "bronze"})
        made = PipeGraphBuilder(pipes("[raw] -> a, [raw] -> b"), entities=entities).build_graph()
        [found] = recommend_cache(made, ["a", "b"], memory_budget_bytes=0)
        assert (found.level, found.size_bytes) == (CacheLevel.MEMORY_AND_DISK, None)

    def test_unknown_sizes_take_nothing_of_the_budget(self) -> None:
        found = _recommended(_readers(a=9, b=2), 5, b=5)
        assert _levels(found) == [("b", "MEMORY_ONLY"), ("a", "MEMORY_AND_DISK")]

    def test_budget_of_nothing_keeps_nothing_in_memory(self) -> None:
        found = _recommended(_readers(a=3, b=2), 0, a=1, b=1)
        assert _levels(found) == [("a", "DISK_ONLY"), ("b", "NONE")]

    def test_whole_floats_are_numbers_of_bytes(self) -> None:
        """YAML has no other way to write 1.5e+9."""
        [found] = _recommended(_readers(a=2), 2.0, a=2.0)  # type: ignore[arg-type]
        assert (found.level, found.size_bytes) == (CacheLevel.MEMORY_ONLY, 2)
        assert type(found.size_bytes) is int


class TestBadInput:
    def test_everything_that_is_no_number_of_bytes_is_named(self) -> None:
        wrong = {"a": "10 GB", "b": -1, "c": True, "d": 1.5, "e": None, "f": [1]}
        with pytest.raises(GraphValidationError) as refused:
            _recommended(_readers(**dict.fromkeys(wrong, 1)), math.inf, **wrong)  # type: ignore[arg-type]
        must_be = "tag size_bytes must be a whole number of bytes, 0 or more, not"
        fix = "  Fix: correct the tag, or leave it out where the size is not known."
        assert str(refused.value) == (
            "7 problems in the pipe graph:\n"
            f"1. entity 'a': {must_be} '10 GB'\n{fix}\n"
            f"2. entity 'b': {must_be} -1\n{fix}\n"
            f"3. entity 'c': {must_be} True\n{fix}\n"
            f"4. entity 'd': {must_be} 1.5\n{fix}\n"
            f"5. entity 'e': {must_be} None\n{fix}\n"
            f"6. entity 'f': {must_be} (1,)\n{fix}\n"
            "7. memory_budget_bytes must be a whole number of bytes, 0 or more, not inf\n"
            "  Fix: give a number, or None where the memory is not known."
        )

    def test_string_where_a_list_belongs(self) -> None:
        with pytest.raises(GraphValidationError) as refused:
            recommend_cache(_graph(pipes("a"), {}), "a")
        assert str(refused.value) == (
            "pipe_ids is the string 'a' where a list is expected\n  Fix: write ['a']"
        )


class TestPlanMetadata:
    def test_batch_plan_says_what_is_shared(self) -> None:
        made = plan("[raw] -> a, [raw] -> b")
        assert made.metadata["cache_recommendations"] == (
            {
                "entity_id": "raw",
                "consumers": ("a", "b"),
                "reason": "2 pipes read it; no size_bytes tag gives its size",
                "level": "MEMORY_AND_DISK",
                "size_bytes": None,
                "benefit": None,
            },
        )
        assert made.metadata["cache_candidate_count"] == 1
        assert made.metadata["cache_candidate_entities"] == ("raw",)
        assert made.get_summary()["cache_candidate_entities"] == ["raw"]
        assert ExecutionPlan.from_json(made.to_json()) == made

    def test_sizes_come_from_the_manifest_and_the_budget_from_the_strategy(self) -> None:
        registry, entities = pipes("[raw] -> a, [raw] -> b"), DataEntityRegistry()
        entities.register_entity("raw", tags={"size_bytes": 10})
        manifest = Manifest(registry, entities)
        for budget, level in ((10, "MEMORY_ONLY"), (9, "NONE")):
            strategy = BatchExecutionStrategy(memory_budget_bytes=budget)
            made = ExecutionPlanGenerator(manifest).generate_plan(None, strategy)
            [found] = made.metadata["cache_recommendations"]
            assert (found["level"], found["benefit"]) == (level, 10)

    def test_executor_reads_what_plans_recommend(self) -> None:
        for strategy in ("batch", "priority", "config_based"):
            made = plan("[raw] -> a, [raw] -> b, a -> a, a -> b, a -> c", strategy)
            reads, problems = recommended_reads(made)
            assert problems == []
            assert set(reads) == {
                SharedRead("raw", ("a", "b"), "MEMORY_AND_DISK"),
                SharedRead("a.out", ("b", "c"), "MEMORY_AND_DISK"),
            }

    @pytest.mark.parametrize("strategy", ["streaming", "hybrid"])
    def test_plans_with_streams_recommend_nothing(self, strategy: str) -> None:
        metadata = plan("[raw] -> a, [raw] -> b", strategy).metadata
        assert metadata["cache_recommendations"] == ()
        assert "cache_candidate_count" not in metadata

    def test_metadata_of_a_huge_plan_has_the_most_valuable_alone(self) -> None:
        count = 1001
        registry = DataPipesRegistry()
        for n in range(2):
            entities = [f"e{k}" for k in range(count)]
            registry.register_pipe(f"p{n}", input_entity_ids=entities, output_entity_id=f"o{n}")
        made = _graph(registry, {"e1000": 5})
        said = cache_metadata(made, ["p0", "p1"])
        assert said["cache_candidate_count"] == count
        assert said["cache_candidate_entities"] == ("e1000", *(f"e{n}" for n in range(1000)))
        assert len(said["cache_recommendations"]) == 1000
        assert said["cache_recommendations"][0]["entity_id"] == "e1000"
        assert len(recommend_cache(made, ["p0", "p1"])) == count


@st.composite
def _sized(draw: st.DrawFn) -> tuple[DataPipesRegistry, dict[str, int], int | None]:
    """Draw pipes, the sizes of some of their entities, and a budget."""
    registry = draw(acyclic_pipes())
    entities = sorted({e for pipe in registry for e in pipe.input_entity_ids})
    sizes = {e: draw(st.integers(0, 50)) for e in entities if draw(st.booleans())}
    return registry, sizes, draw(st.none() | st.integers(0, 100))


@given(_sized())
def test_recommendations_are_those_of_a_plain_count(
    drawn: tuple[DataPipesRegistry, dict[str, int], int | None],
) -> None:
    registry, sizes, budget = drawn
    found = recommend_cache(
        _graph(registry, sizes), registry.get_pipe_ids(), memory_budget_bytes=budget
    )
    readers = {
        entity: tuple(
            pipe.pipeid
            for pipe in registry
            if entity in pipe.input_entity_ids and pipe.output_entity_id != entity
        )
        for pipe in registry
        for entity in pipe.input_entity_ids
    }
    assert {r.entity_id: r.consumers for r in found} == {
        entity: pipes for entity, pipes in readers.items() if len(pipes) > 1
    }
    for r in found:
        assert r.size_bytes == sizes.get(r.entity_id)
        assert r.benefit == (
            None if r.size_bytes is None else r.size_bytes * (len(r.consumers) - 1)
        )


@given(_sized())
def test_what_stays_in_memory_fits_into_the_budget_and_nothing_more_valuable_would(
    drawn: tuple[DataPipesRegistry, dict[str, int], int | None],
) -> None:
    registry, sizes, budget = drawn
    found = recommend_cache(
        _graph(registry, sizes), registry.get_pipe_ids(), memory_budget_bytes=budget
    )
    kept = [r for r in found if r.level is CacheLevel.MEMORY_ONLY]
    assert sum(r.size_bytes or 0 for r in kept) <= (budget or 0)
    benefits = [r.benefit for r in found if r.level is not CacheLevel.NONE and r.benefit]
    assert benefits == sorted(benefits, reverse=True)
    for r in found:
        if budget is not None and r.level is CacheLevel.MEMORY_AND_DISK and r.size_bytes:
            before = sum(k.size_bytes or 0 for k in kept if (k.benefit or 0) >= (r.benefit or 0))
            assert before + r.size_bytes > budget
