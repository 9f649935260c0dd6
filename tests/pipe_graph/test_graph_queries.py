"""What a builder answers about a graph: cycles, orders, generations, figures; and hybrid plans."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from hypothesis import given

from kindling_airflow.common.gc_pause import collector_paused
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import GraphValidationError, PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.pipe_graph import PipeGraph, PipeGraphBuilder, PipeNode
from tests.builders import graph, pipes, plan
from tests.strategies import acyclic_pipes

DIAMOND = "[raw] -> a -> b -> d, a -> c -> d, [raw] -> lone"


@pytest.fixture
def builder() -> PipeGraphBuilder:
    return PipeGraphBuilder(pipes(DIAMOND))


class TestQueries:
    def test_orders_are_each_others_reverse(self, builder: PipeGraphBuilder) -> None:
        diamond = builder.build_graph()
        assert builder.topological_sort(diamond) == ("a", "lone", "b", "c", "d")
        assert builder.reverse_topological_sort(diamond) == ("d", "c", "b", "lone", "a")

    def test_generations_go_forward_and_in_reverse(self, builder: PipeGraphBuilder) -> None:
        diamond = builder.build_graph()
        assert builder.get_generations(diamond) == (("a", "lone"), ("b", "c"), ("d",))
        assert builder.get_reverse_generations(diamond) == (("d", "lone"), ("b", "c"), ("a",))
        assert diamond.depths == {"a": 0, "b": 1, "d": 2, "c": 1, "lone": 0}

    def test_figures(self, builder: PipeGraphBuilder) -> None:
        assert builder.get_graph_stats(builder.build_graph()) == {
            "node_count": 5,
            "edge_count": 4,
            "root_count": 2,
            "leaf_count": 2,
            "generation_count": 3,
            "max_parallelism": 2,
            "avg_dependencies": 0.8,
            "external_entities": 1,
            "shared_entities": 2,
            "total_cache_opportunities": 2,
        }

    def test_empty_graph_has_figures_too(self) -> None:
        empty = PipeGraphBuilder(DataPipesRegistry())
        assert set(empty.get_graph_stats(empty.build_graph()).values()) == {0}
        assert empty.get_generations(empty.build_graph()) == ()

    @given(acyclic_pipes())
    def test_generations_are_those_of_the_plans(self, registry: DataPipesRegistry) -> None:
        from kindling_airflow.execution_strategy import ExecutionPlanGenerator

        builder = PipeGraphBuilder(registry)
        drawn, generator = builder.build_graph(), ExecutionPlanGenerator(registry)
        forward, reverse = generator.generate_batch_plan(), generator.generate_streaming_plan()
        assert builder.get_generations(drawn) == tuple(g.pipe_ids for g in forward.generations)
        assert builder.get_reverse_generations(drawn) == tuple(
            g.pipe_ids for g in reverse.generations
        )


class TestCycles:
    def test_sound_graph_has_none(self, builder: PipeGraphBuilder) -> None:
        assert builder.detect_cycles() == ()
        assert PipeGraphBuilder(pipes("a -> a")).detect_cycles() == ()

    def test_each_knot_has_one(self) -> None:
        builder = PipeGraphBuilder(pipes("b -> a -> b, d -> c -> e -> d, x -> y"))
        assert builder.detect_cycles() == (("a", "b", "a"), ("c", "e", "d", "c"))
        assert builder.detect_cycles(["a", "x", "y"]) == ()

    @pytest.mark.parametrize(
        ("pipe_ids", "text"),
        [
            ("a", "pipe_ids is the string 'a' where a list is expected\n  Fix: write ['a']"),
            (
                ["z"],
                (
                    "unknown pipe 'z'.\n"
                    "  Fix: correct the id, or import the module that declares the pipe."
                ),
            ),
        ],
    )
    def test_what_else_is_wrong_is_an_error(self, pipe_ids: Any, text: str) -> None:
        with pytest.raises(GraphValidationError) as refused:
            PipeGraphBuilder(pipes("a -> b -> a")).detect_cycles(pipe_ids)
        assert str(refused.value) == text

    def test_two_writers_are_an_error(self) -> None:
        registry = pipes("a")
        registry.register_pipe("b", output_entity_id="a.out")
        with pytest.raises(GraphValidationError, match="written by more than one pipe"):
            PipeGraphBuilder(registry).detect_cycles()


class TestGraphsMadeByHand:
    def test_input_that_is_named_twice_is_read_once(self) -> None:
        nodes = {"a": PipeNode("a", (), "x"), "b": PipeNode("b", ("x", "x"), None)}
        made = PipeGraph(nodes)
        assert made.edges == (("a", "b", "x"),)
        assert made.entity_consumers == {"x": ("b",)}
        assert made.adjacency == {"a": ("b",), "b": ()}

    def test_tags_come_from_the_entities_that_are_handed_over(self) -> None:
        entities = DataEntityRegistry()
        entities.register_entity("raw", tags={"size_bytes": 1})
        made = PipeGraphBuilder(pipes(DIAMOND), entities=entities).build_graph()
        assert made.entity_tags == {"raw": {"size_bytes": 1}}


class TestHybridPlans:
    """Streams s and t, batch pipes a and b:  s -> t,  t -> a -> b,  b -> u with stream u."""

    DRAWING = "s -> t -> a -> b -> u"

    def _plan(self, *generations: str, streams: Any = ("s", "t", "u")) -> ExecutionPlan:
        drawn = graph(self.DRAWING)
        return ExecutionPlan(
            tuple(drawn.nodes),
            tuple(Generation(n, tuple(g.split())) for n, g in enumerate(generations)),
            drawn,
            "mine",
            {"execution_order": "hybrid", "streaming_pipes": streams},
        )

    def test_streams_go_in_reverse_and_batch_pipes_forward(self) -> None:
        sound = self._plan("t u", "s", "a", "b")
        assert sound.direction() == "hybrid"
        assert sound.validate()
        assert sound.awaited("s") == ("t",)
        assert sound.awaited("a") == ("t",)
        assert sound.awaited("b") == ("a", "u")
        assert sound.awaited("nobody") == ()

    def test_stream_behind_its_producer_is_refused(self) -> None:
        with pytest.raises(PlanValidationError) as refused:
            self._plan("s", "t", "a", "b", "u").validate()
        reason = "the producer belongs in a later generation than its consumer."
        assert str(refused.value) == (
            "2 problems in the plan:\n"
            "1. pipe 't' (generation 1) reads entity 's.out' of pipe 's' (generation 0)\n"
            f"  Fix: under strategy 'mine' {reason}\n"
            "2. pipe 'u' (generation 4) reads entity 'b.out' of pipe 'b' (generation 3)\n"
            f"  Fix: under strategy 'mine' {reason}"
        )

    def test_batch_pipe_before_its_producer_is_refused(self) -> None:
        with pytest.raises(PlanValidationError) as refused:
            self._plan("t u", "s", "b", "a").validate()
        assert str(refused.value) == (
            "pipe 'b' (generation 2) reads entity 'a.out' of pipe 'a' (generation 3)\n"
            "  Fix: under strategy 'mine' the producer belongs in an earlier generation than its "
            "consumer."
        )

    def test_without_streams_it_is_a_forward_plan(self) -> None:
        assert self._plan("s", "t", "a", "b", "u", streams=()).validate()

    @pytest.mark.parametrize("streams", ["s", 5, None])
    def test_streams_must_be_a_list(self, streams: Any) -> None:
        with pytest.raises(PlanValidationError) as refused:
            self._plan("s", "t", "a", "b", "u", streams=streams).validate()
        assert str(refused.value) == (
            f"metadata: streaming_pipes must be a list of pipes, not {streams!r}"
        )

    def test_text_shows_what_each_pipe_waits_for(self) -> None:
        from kindling_airflow.execution_plan.text import visualize_plan

        shown = visualize_plan(self._plan("t u", "s", "a", "b")).splitlines()
        assert "  - s (deps: ['t'])" in shown
        assert "  - b (deps: ['a', 'u'])" in shown


class TestCollector:
    def test_it_runs_again_afterwards_only_if_it_ran_before(self) -> None:
        assert gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
            with collector_paused():
                assert not gc.isenabled()
            assert not gc.isenabled()
        assert gc.isenabled()

    def test_it_runs_again_after_an_error(self) -> None:
        with pytest.raises(KeyError), collector_paused():
            raise KeyError
        assert gc.isenabled()


def test_plan_is_no_other_thing() -> None:
    assert plan("a") != "a"
