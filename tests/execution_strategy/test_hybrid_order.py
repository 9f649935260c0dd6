"""Streams and batch pipes in one plan: the hybrid order, and when config_based chooses it.

In the drawings of this module a pipe in brackets streams.
"""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.errors import GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import (
    ConfigBasedExecutionStrategy,
    ExecutionPlanGenerator,
    HybridExecutionStrategy,
)
from kindling_airflow.pipe_graph import PipeGraphBuilder
from tests.builders import pipes, plan


def _tags(streams: str, batch: str = "") -> dict[str, dict[str, Any]]:
    return {
        **{pipe_id: {"processing_mode": "streaming"} for pipe_id in streams.split()},
        **{pipe_id: {"processing_mode": "batch"} for pipe_id in batch.split()},
    }


def _hybrid(drawing: str, streams: str) -> ExecutionPlan:
    return plan(drawing, "hybrid", _tags(streams))


def _order(made: ExecutionPlan) -> list[str]:
    return [" ".join(generation) for generation in made.generations]


class TestHybrid:
    def test_streams_come_first_in_reverse_and_batch_pipes_follow_forward(self) -> None:
        """
        [ingest] - [clean] - [alert]
                       |
                       +---- daily - report
        """
        made = _hybrid(
            "ingest -> clean -> alert, clean -> daily -> report", streams="ingest clean alert"
        )
        assert _order(made) == ["alert", "clean", "ingest", "daily", "report"]
        assert made.strategy == "hybrid"
        assert made.direction() == "hybrid"
        assert made.metadata == {
            "execution_order": "hybrid",
            "checkpoint_order": "downstream_first",
            "streaming_pipes": ("ingest", "clean", "alert"),
            "cache_recommendations": (),
        }

    def test_batch_pipe_runs_after_the_one_upstream_of_a_stream_between_them(self) -> None:
        """a - [s] - b"""
        made = _hybrid("a -> s -> b", streams="s")
        assert _order(made) == ["s", "a", "b"]
        assert [g.dependencies for g in made.generations] == [(), ("s",), ("s",)]

    def test_stream_starts_after_the_one_downstream_of_a_batch_pipe_between_them(self) -> None:
        """[s1] - b - [s2]"""
        made = _hybrid("s1 -> b -> s2", streams="s1 s2")
        assert _order(made) == ["s2", "s1", "b"]
        assert [g.dependencies for g in made.generations] == [(), (), ("s1", "s2")]

    def test_order_reaches_through_any_number_of_pipes_of_the_other_half(self) -> None:
        """
        [s] - a - b - c - [t]    d
        """
        made = _hybrid("s -> a -> b -> c -> t, d", streams="s t")
        assert _order(made) == ["t", "s", "a d", "b", "c"]

    def test_each_half_is_as_short_as_its_order_allows(self) -> None:
        r"""
        [s] - a - [t] - b
          \____________/
        c ____________/        [u]
        """
        made = _hybrid("s -> a -> t -> b, s -> b, c -> b, u", streams="s t u")
        assert _order(made) == ["t u", "s", "a c", "b"]
        assert [g.dependencies for g in made.generations] == [
            (),
            (),
            ("s", "t"),
            ("t", "s", "c"),
        ]

    def test_dependencies_are_what_the_pipes_directly_wait_for(self) -> None:
        made = _hybrid("s -> a -> t -> b, s -> b, c -> b, u -> s", streams="s t u")
        for generation in made.generations:
            awaited = [p for pipe_id in generation for p in made.awaited(pipe_id)]
            assert generation.dependencies == tuple(dict.fromkeys(awaited))

    def test_order_inside_a_generation_and_of_the_streams_is_the_order_requested(self) -> None:
        generator = ExecutionPlanGenerator(pipes("s, t, a, b", _tags("s t")))
        made = generator.generate_plan(["b", "t", "a", "s"], "hybrid")
        assert _order(made) == ["t s", "b a"]
        assert made.metadata["streaming_pipes"] == ("t", "s")

    @pytest.mark.parametrize(("streams", "same"), [("", "batch"), ("a b c d", "streaming")])
    def test_one_kind_of_pipes_alone_gives_the_generations_of_its_own_strategy(
        self, streams: str, same: str
    ) -> None:
        drawing = "a -> b -> d, a -> c, a -> d"
        assert _hybrid(drawing, streams).generations == plan(drawing, same).generations

    def test_pipes_outside_of_the_plan_join_no_two_others(self) -> None:
        whole = PipeGraphBuilder(pipes("s -> a -> t -> b", _tags("s t"))).build_graph()
        made = HybridExecutionStrategy().plan(whole, ["s", "t", "b"])
        assert _order(made) == ["s t", "b"]
        assert made.validate()

    def test_modes_that_there_are_not_are_all_named(self) -> None:
        modes = {"a": "stream", "b": None, "c": "batch", "d": True, "e": ["batch"], "f": "Bath"}
        tags = {pipe_id: {"processing_mode": mode} for pipe_id, mode in modes.items()}
        for strategy in ("hybrid", "config_based"):
            with pytest.raises(GraphValidationError) as refused:
                plan(", ".join(modes), strategy, tags)
            fix = "  Fix: correct the tag, or leave it out where the pipe is a batch pipe."
            must_be = "tag processing_mode must be 'batch' or 'streaming', not"
            assert str(refused.value) == (
                "5 problems in the pipe graph:\n"
                f"1. pipe 'a': {must_be} 'stream'\n{fix}\n"
                f"2. pipe 'b': {must_be} None\n{fix}\n"
                f"3. pipe 'd': {must_be} True\n{fix}\n"
                f"4. pipe 'e': {must_be} ('batch',)\n{fix}\n"
                f"5. pipe 'f': {must_be} 'Bath'\n{fix}"
            )

    def test_modes_of_pipes_outside_of_the_plan_do_not_count(self) -> None:
        tags = {"a": {"processing_mode": "neither"}}
        whole = PipeGraphBuilder(pipes("a -> b", tags)).build_graph()
        assert _order(ConfigBasedExecutionStrategy().plan(whole, ["b"])) == ["b"]


class TestConfigBased:
    @pytest.mark.parametrize(
        ("streams", "batch", "mode", "source"),
        [
            ("", "", "batch", "default"),
            ("", "b", "batch", "pipe_tags"),
            ("", "a b c", "batch", "pipe_tags"),
            ("a b c", "", "streaming", "pipe_tags"),
            ("a", "", "hybrid", "pipe_tags"),
            ("c", "a b", "hybrid", "pipe_tags"),
        ],
    )
    def test_tags_of_the_pipes_choose_the_order(
        self, streams: str, batch: str, mode: str, source: str
    ) -> None:
        tags = _tags(streams, batch)
        made = ExecutionPlanGenerator(pipes("a -> b -> c", tags)).generate_config_based_plan()
        other = plan("a -> b -> c", mode, tags)
        assert made.strategy == "config_based"
        assert made.generations == other.generations
        assert made.direction() == other.direction()
        assert made.metadata == {**other.metadata, "detected_mode": mode, "mode_source": source}

    def test_plan_without_pipes_is_a_batch_plan_by_default(self) -> None:
        metadata = plan("", "config_based").metadata
        assert (metadata["detected_mode"], metadata["mode_source"]) == ("batch", "default")

    def test_only_the_pipes_of_the_plan_decide(self) -> None:
        generator = ExecutionPlanGenerator(pipes("a -> b -> c", _tags("c", "a b")))
        assert _order(generator.generate_config_based_plan(["a", "b"])) == ["a", "b"]
        assert _order(generator.generate_config_based_plan(["c"])) == ["c"]
        modes = [
            generator.generate_config_based_plan(ids).metadata["detected_mode"]
            for ids in (["a", "b"], ["c"], None)
        ]
        assert modes == ["batch", "streaming", "hybrid"]

    def test_memory_budget_reaches_the_batch_order(self) -> None:
        strategy = ConfigBasedExecutionStrategy(memory_budget_bytes=-1)
        with pytest.raises(GraphValidationError, match="memory_budget_bytes must be"):
            plan("a -> b", strategy)
        assert plan("a", strategy, _tags("a")).total_pipes() == 1
