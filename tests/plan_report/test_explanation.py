"""Why a pipe is in its generation: the longest chain of waiting, under every strategy."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import not_null, satisfies
from kindling_airflow.errors import ForecastError, GraphValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.pipe_graph import PipeGraph, PipeNode
from kindling_airflow.plan_report import explain
from kindling_airflow.plan_report.explanation import ChainStep, InputOrigin, Timing
from tests.builders import graph, plan
from tests.strategies import acyclic_pipes

STRATEGIES = ["batch", "streaming", "hybrid", "priority"]
STREAM = {"processing_mode": "streaming"}


@st.composite
def plans(draw: st.DrawFn, strategy: str) -> ExecutionPlan:
    """Draw a plan in which some pipes stream and some are urgent, if the strategy cares."""
    registry = DataPipesRegistry()
    for pipe in draw(acyclic_pipes(max_pipes=8)):
        registry.register_pipe(
            pipe.pipeid,
            input_entity_ids=pipe.input_entity_ids,
            output_entity_id=pipe.output_entity_id,
            tags={
                "processing_mode": draw(st.sampled_from(["batch", "streaming"])),
                "priority": draw(st.integers(0, 2)),
            },
        )
    return ExecutionPlanGenerator(registry).generate_plan(None, strategy)


def longest(made: ExecutionPlan, pipe_id: str) -> int:
    """Return how many pipes the longest chain of waiting has that ends with a pipe."""
    return 1 + max((longest(made, p) for p in made.awaited(pipe_id)), default=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_chain_is_the_longest_way_of_waiting(strategy: str, data: st.DataObject) -> None:
    made = data.draw(plans(strategy))
    for pipe_id in made.pipe_ids:
        chain = explain(made, pipe_id).chain
        assert chain[-1].pipe_id == pipe_id
        assert len(chain) == longest(made, pipe_id)
        assert (chain[0].tie, chain[0].entities) == (None, ())
        for before, step in pairwise(chain):
            assert before.pipe_id in made.awaited(step.pipe_id)
            reads = step.tie == "reads"
            consumer, producer = (step, before) if reads else (before, step)
            assert step.entities == (made.graph.nodes[producer.pipe_id].output_entity,)
            assert step.entities[0] in made.graph.nodes[consumer.pipe_id].input_entities


@pytest.mark.parametrize("strategy", ["batch", "streaming"])
@given(data=st.data())
def test_under_batch_and_streaming_the_chain_alone_puts_a_pipe_where_it_is(
    strategy: str, data: st.DataObject
) -> None:
    made = data.draw(plans(strategy))
    for pipe_id in made.pipe_ids:
        found = explain(made, pipe_id)
        assert [step.generation for step in found.chain] == list(range(found.generation + 1))
        assert found.is_forced


@pytest.mark.parametrize("strategy", STRATEGIES)
@given(data=st.data())
def test_waiting_is_mutual(strategy: str, data: st.DataObject) -> None:
    made = data.draw(plans(strategy))
    found = {pipe_id: explain(made, pipe_id) for pipe_id in made.pipe_ids}
    waits = {(a, b) for b, e in found.items() for a in e.waits_for}
    assert waits == {(a, b) for a, e in found.items() for b in e.waited_for_by}
    assert {p for pair in waits for p in pair} <= set(made.pipe_ids)


class TestBatch:
    r"""
       a --- b --- d        c and d read two things each; x is external
        \-- c ----/
    [x] ---/
    """

    drawing = "a -> b -> d, a -> c -> d, [x] -> c"
    tags: ClassVar = {"b": {"duration_hint": 10}, "c": {"duration_hint": 2.5}}

    def test_everything_about_a_pipe(self) -> None:
        found = explain(plan(self.drawing, tags=self.tags), "c")
        assert (found.strategy, found.direction) == ("batch", "forward")
        assert (found.generation, found.total_generations) == (1, 3)
        assert found.companions == ("b",)
        assert found.chain == (
            ChainStep("a", 0, None, ()),
            ChainStep("c", 1, "reads", ("a.out",)),
        )
        assert found.waits_for == ("a",)
        assert found.waited_for_by == ("d",)
        assert found.inputs == (
            InputOrigin("a.out", "pipe", "a"),
            InputOrigin("x", "external", None),
        )
        assert found.output == "c.out"
        assert found.readers == ("d",)
        assert found.timing == Timing(
            seconds=2.5,
            earliest_start_seconds=1.0,
            longest_path=("a", "c", "d"),
            longest_path_seconds=4.5,
            slack_seconds=7.5,
        )

    def test_promises_are_told_with_what_happens_otherwise(self) -> None:
        registry = DataPipesRegistry()
        registry.register_pipe(
            "p",
            output_entity_id="out",
            tags={"quality.on_violation": "warn"},
            expectations=[not_null("id"), satisfies("a > 0", on_violation="drop")],
        )
        found = explain(ExecutionPlanGenerator(registry).generate_batch_plan(), "p")
        assert found.expectations == ("id is not null (else warn)", "a > 0 (else drop)")
        assert found.to_json()["expectations"] == list(found.expectations)
        assert (
            "Writes 'out', read by no pipes of the plan\n"
            "Expects of its output:\n"
            "  id is not null (else warn)\n"
            "  a > 0 (else drop)\n"
        ) in found.text()

    def test_durations_that_are_given_win(self) -> None:
        timing = explain(plan(self.drawing, tags=self.tags), "c", {"c": 100}).timing
        assert timing is not None
        assert (timing.seconds, timing.slack_seconds) == (100.0, 0.0)

    def test_durations_without_sense_are_refused(self) -> None:
        with pytest.raises(ForecastError):
            explain(plan(self.drawing), "c", {"a": -1})

    def test_text_of_a_pipe_with_slack(self) -> None:
        assert explain(plan(self.drawing, tags=self.tags), "c").text() == (
            "Pipe 'c' is in generation 1 (0 to 2), with 1 other pipe\n"
            "Strategy: batch\n"
            "\n"
            "Why: a pipe comes after those that it reads from, and the longest chain of them is\n"
            "    0  'a'\n"
            "    1  'c', reads 'a.out'\n"
            "\n"
            "Waits for 1 pipe:\n"
            "  'a'\n"
            "\n"
            "Waited for by 1 pipe:\n"
            "  'd'\n"
            "\n"
            "Reads:\n"
            "  'a.out', written by 'a'\n"
            "  'x', external: no pipe writes it\n"
            "Writes 'c.out', read by 1 pipe of the plan\n"
            "\n"
            "Takes 2.5 s; can start after 1 s\n"
            "Not critical: the longest path through it takes 4.5 s, 7.5 s less than the run"
        )

    def test_text_of_a_critical_pipe_that_waits_for_none(self) -> None:
        assert explain(plan("a -> a -> b"), "a").text() == (
            "Pipe 'a' is in generation 0 (0 to 1), with no other pipes\n"
            "Strategy: batch\n"
            "\n"
            "Why: it waits for no other pipe of the plan\n"
            "\n"
            "Waits for no pipes\n"
            "\n"
            "Waited for by 1 pipe:\n"
            "  'b'\n"
            "\n"
            "Reads:\n"
            "  'a.out', its own output: the state of its last run\n"
            "Writes 'a.out', read by 1 pipe of the plan\n"
            "\n"
            "Takes 1 s; can start after 0 s\n"
            "Critical: it is on a path of 2 s, as long as the run"
        )

    def test_long_lists_are_cut_in_the_text_and_whole_in_json(self) -> None:
        made = plan(", ".join(f"a -> r{n}" for n in range(23)))
        found = explain(made, "a")
        lines = found.text().splitlines()
        assert lines[7:10] == ["Waited for by 23 pipes:", "  'r0'", "  'r1'"]
        assert lines[27:30] == ["  'r19'", "  ... and 3 more", ""]
        assert len(found.to_json()["waited_for_by"]) == 23

    def test_producer_outside_of_the_plan_is_named(self) -> None:
        made = BatchExecutionStrategy().plan(graph("a -> b -> c"), ["b"])
        found = explain(made, "b")
        assert found.inputs == (InputOrigin("a.out", "not in the plan", "a"),)
        assert (found.waits_for, found.waited_for_by, found.readers) == ((), (), ())
        assert "  'a.out', written by 'a', which is not in the plan\n" in found.text()

    def test_node_without_declaration_writes_nothing(self) -> None:
        nodes = PipeGraph({"a": PipeNode("a")})
        text = explain(ExecutionPlan(("a",), (Generation(0, ("a",)),), nodes, "batch"), "a").text()
        assert "Reads nothing\nWrites nothing\n" in text


class TestOtherOrders:
    def test_streaming_pipe_waits_for_its_readers_and_has_no_times(self) -> None:
        found = explain(plan("a -> b -> c", "streaming"), "a")
        assert found.timing is None
        assert found.text() == (
            "Pipe 'a' is in generation 2 (0 to 2), with no other pipes\n"
            "Strategy: streaming\n"
            "\n"
            "Why: a pipe comes after those that read from it, and the longest chain of them is\n"
            "    0  'c'\n"
            "    1  'b', writes 'b.out' for it\n"
            "    2  'a', writes 'a.out' for it\n"
            "\n"
            "Waits for 1 pipe:\n"
            "  'b'\n"
            "\n"
            "Waited for by no pipes\n"
            "\n"
            "Reads nothing\n"
            "Writes 'a.out', read by 1 pipe of the plan\n"
            "Stream: a batch as soon as the previous one has ended; writes by append; checkpoint a"
        )

    def test_a_stream_says_what_its_query_does_and_a_batch_pipe_has_none(self) -> None:
        tags = {"s": {"processing_mode": "streaming", "stream.trigger": "10s"}}
        of = plan("s -> b", "hybrid", tags)
        assert explain(of, "s").stream == "a batch every 10 s; writes by append; checkpoint s"
        assert explain(of, "b").stream is None

    def test_batch_pipe_of_a_hybrid_plan_comes_after_streams_that_it_has_nothing_to_do_with(
        self,
    ) -> None:
        made = plan("s -> t -> daily, lone", "hybrid", tags={"s": STREAM, "t": STREAM})
        found = explain(made, "lone")
        assert found.generation == 2
        assert not found.is_forced
        assert (
            "Why: it waits for no other pipe of the plan\n"
            "Nothing that it waits for keeps it from generation 0; in a hybrid plan all streams "
            "start before the first batch pipe, and the order inside either half reaches through "
            "the other\n"
        ) in found.text()
        assert [step.pipe_id for step in explain(made, "daily").chain] == ["t", "daily"]

    def test_pipe_that_the_strategy_put_off_is_said_to_be(self) -> None:
        made = plan("urgent, later", "priority", tags={"urgent": {"priority": 1}})
        assert (
            "Nothing that it waits for keeps it from generation 0; strategy 'priority' put it here"
        ) in explain(made, "later").text()

    def test_strategy_without_an_order_has_a_reason_all_the_same(self) -> None:
        generations = (Generation(0, ("a",)), Generation(1, ("b",)))
        made = ExecutionPlan(("a", "b"), generations, graph("a -> b"), "own")
        assert "Why: the longest chain of pipes that come before it is\n" in (
            explain(made, "b").text()
        )


class TestUnknownPipe:
    def test_is_an_error_that_knows_what_was_meant(self) -> None:
        with pytest.raises(GraphValidationError) as refused:
            explain(plan("silver.orders -> gold"), "slver.orders")
        assert str(refused.value) == (
            "the plan has no pipe 'slver.orders'. Did you mean 'silver.orders'?\n"
            "  Fix: name one of the plan's pipes, or plan with this pipe."
        )

    def test_pipe_of_the_graph_alone_is_unknown_to_the_plan(self) -> None:
        made = BatchExecutionStrategy().plan(graph("a -> b"), ["b"])
        with pytest.raises(GraphValidationError) as refused:
            explain(made, "a")
        assert str(refused.value) == (
            "the plan has no pipe 'a'.\n"
            "  Fix: name one of the plan's pipes, or plan with this pipe."
        )


def test_json_says_the_same() -> None:
    found = explain(plan("a -> b"), "b")
    document: dict[str, Any] = json.loads(json.dumps(found.to_json()))
    assert document == found.to_json()
    assert document["is_forced"] is True
    assert document["chain"][1] == {
        "pipe_id": "b",
        "generation": 1,
        "tie": "reads",
        "entities": ["a.out"],
    }
    assert document["inputs"] == [{"entity": "a.out", "origin": "pipe", "producer": "a"}]
    assert document["timing"]["longest_path"] == ["a", "b"]
