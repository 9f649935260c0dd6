"""The translation of a plan: groups show its generations, edges are its data edges."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.errors import TranslationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.translator import (
    DagSpec,
    TaskSettings,
    TaskSpec,
    TranslateOptions,
    translate,
)
from tests.builders import graph, pipes, plan
from tests.strategies import acyclic_pipes, pipe_ids

DIAMOND = "[raw] -> a -> b -> d, a -> c -> d"


def spec(drawing: str, **options: Any) -> DagSpec:
    return translate(plan(drawing), TranslateOptions("shop", "shop_pool", **options))


def refusal(refused_plan: ExecutionPlan) -> str:
    with pytest.raises(TranslationError) as refused:
        translate(refused_plan, TranslateOptions("shop", "shop_pool"))
    return str(refused.value)


def upstream(dag: DagSpec) -> dict[str, tuple[str, ...]]:
    return {task.task_id: task.upstream for task in dag.tasks()}


def hand_made(drawing: str, *generations: Sequence[str], strategy: str = "batch") -> ExecutionPlan:
    """Return a plan with these generations, right or wrong."""
    listed = dict.fromkeys(pipe_id for generation in generations for pipe_id in generation)
    numbered = (Generation(number, tuple(ids)) for number, ids in enumerate(generations))
    return ExecutionPlan(tuple(listed), tuple(numbered), graph(drawing), strategy)


@st.composite
def plans(draw: st.DrawFn) -> ExecutionPlan:
    """Draw the plan of some pipes of a graph that may have more."""
    registry = draw(acyclic_pipes(draw(st.sampled_from([None, pipe_ids()]))))
    builder = ExecutionPlanGenerator(registry).graph_builder
    everything = builder.build_graph()
    chosen = draw(st.lists(st.sampled_from(registry.get_pipe_ids() or [""]), unique=True))
    return BatchExecutionStrategy().plan(everything, [p for p in chosen if p])


def closure(pairs: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return who reaches whom, by joining pairs until nothing is new."""
    reached = set(pairs)
    while True:
        longer = {(a, d) for a, b in reached for c, d in reached if b == c}
        if longer <= reached:
            return reached
        reached |= longer


def _behind(some: ExecutionPlan, start: str) -> set[str]:
    """Return the pipes that data flows to from ``start`` through pipes of the plan."""
    found: set[str] = set()
    todo = [start]
    while todo:
        readers = some.graph.get_dependents(todo.pop())
        new = {pipe_id for pipe_id in readers if pipe_id in some.pipe_ids} - found
        found |= new
        todo += new
    return found


class TestGroups:
    def test_each_generation_is_one_group_in_order(self) -> None:
        r"""
              b
             / \
        raw-a   d
             \ /
              c
        """
        diamond = spec(DIAMOND, width=2)
        assert [(g.group_id, [t.task_id for t in g.tasks]) for g in diamond.groups] == [
            ("generation_0", ["a"]),
            ("generation_1", ["b", "c"]),
            ("generation_2", ["d"]),
        ]

    def test_tooltip_says_how_many_pipes_and_how_wide(self) -> None:
        assert [group.tooltip for group in spec(DIAMOND, width=2).groups] == [
            "Generation 0: 1 pipe, at most 2 at once in pool 'shop_pool'",
            "Generation 1: 2 pipes, at most 2 at once in pool 'shop_pool'",
            "Generation 2: 1 pipe, at most 2 at once in pool 'shop_pool'",
        ]

    def test_order_inside_a_group_is_the_order_requested(self) -> None:
        ordered = translate(
            ExecutionPlanGenerator(pipes("c, a, b")).generate_batch_plan(["b", "c", "a"]),
            TranslateOptions("shop", "shop_pool"),
        )
        assert [task.pipe_id for task in ordered.groups[0].tasks] == ["b", "c", "a"]

    @given(plans().filter(lambda p: bool(p.pipe_ids)))
    def test_every_pipe_is_one_task_in_the_group_of_its_generation(
        self, some: ExecutionPlan
    ) -> None:
        dag = translate(some, TranslateOptions("shop", "shop_pool"))
        assert [[t.pipe_id for t in g.tasks] for g in dag.groups] == [
            list(g.pipe_ids) for g in some.generations
        ]
        ids = [task.task_id for task in dag.tasks()]
        assert len(set(ids)) == len(ids) == some.total_pipes()
        assert not set(ids) & {group.group_id for group in dag.groups}


class TestEdges:
    def test_task_waits_for_the_pipes_it_reads_from(self) -> None:
        assert upstream(spec(DIAMOND)) == {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}

    def test_task_does_not_wait_for_the_rest_of_the_generation_before(self) -> None:
        """
        a -- b
        x -- y       b waits for a alone, though x is in the same generation as a
        """
        assert upstream(spec("a -> b, x -> y")) == {"a": (), "x": (), "b": ("a",), "y": ("x",)}

    def test_edge_may_reach_over_generations(self) -> None:
        assert upstream(spec("a -> b -> c, a -> c"))["c"] == ("b", "a")

    def test_pipe_reading_its_own_output_does_not_wait_for_itself(self) -> None:
        assert upstream(spec("a -> a -> b")) == {"a": (), "b": ("a",)}

    def test_pipe_outside_of_the_plan_makes_no_edge_and_carries_none(self) -> None:
        """Of a -> b -> c the plan has a and c: what c reads is there already."""
        part = BatchExecutionStrategy().plan(graph("a -> b -> c"), ["a", "c"])
        dag = translate(part, TranslateOptions("shop", "shop_pool"))
        assert upstream(dag) == {"a": (), "c": ()}
        assert len(dag.groups) == 1

    @given(plans().filter(lambda p: bool(p.pipe_ids)))
    def test_edges_are_the_data_edges_inside_the_plan(self, some: ExecutionPlan) -> None:
        declared = {p: some.graph.nodes[p] for p in some.pipe_ids}
        data_edges = {
            (writer, reader)
            for writer in declared
            for reader in declared
            if writer != reader
            and declared[writer].output_entity in declared[reader].input_entities
        }
        dag = translate(some, TranslateOptions("shop", "shop_pool"))
        pipe_of = {task.task_id: task.pipe_id for task in dag.tasks()}
        edges = [(pipe_of[up], task.pipe_id) for task in dag.tasks() for up in task.upstream]
        assert len(set(edges)) == len(edges)
        assert set(edges) == data_edges

    @given(plans().filter(lambda p: bool(p.pipe_ids)))
    def test_task_reaches_another_where_its_pipe_does(self, some: ExecutionPlan) -> None:
        dag = translate(some, TranslateOptions("shop", "shop_pool"))
        tasks = {task.pipe_id: task.task_id for task in dag.tasks()}
        reached = closure((up, task.task_id) for task in dag.tasks() for up in task.upstream)
        assert reached == {
            (tasks[start], tasks[pipe_id]) for start in tasks for pipe_id in _behind(some, start)
        }


class TestTasks:
    def test_options_are_carried_through_to_every_task(self) -> None:
        settings = {"pool_slots": 3, "retries": 2, "retry_delay_seconds": 1.5}
        dag = spec(DIAMOND, width=6, settings=settings)
        assert (dag.dag_id, dag.pool, dag.width) == ("shop", "shop_pool", 6)
        for task in dag.tasks():
            assert (task.settings.pool, task.settings.pool_slots) == ("shop_pool", 3)
            assert (task.settings.retries, task.settings.retry_delay_seconds) == (2, 1.5)

    def test_task_is_what_follows_from_pipe_plan_and_options(self) -> None:
        only = spec("[raw] -> my table", assets="lake").tasks()
        assert only == (
            TaskSpec(
                task_id="my_x20_table",
                pipe_id="my table",
                upstream=(),
                priority_weight=1,
                trigger_rule="none_failed",
                inlets=("lake/raw",),
                outlets=("lake/my_x20_table.out",),
                settings=TaskSettings(pool="shop_pool"),
            ),
        )

    def test_pipe_keeps_its_task_when_an_unrelated_one_shifts_its_generation(self) -> None:
        """
        a -- c               a ------ c
                  becomes       new -/
        """
        before, after = spec("a -> c"), spec("a -> c, new -> newer -> c")
        moved = before.find("c"), after.find("c")
        assert moved[0] is not None
        assert moved[1] is not None
        assert moved[0].task_id == moved[1].task_id
        assert [g.group_id for g in before.groups if moved[0] in g.tasks] == ["generation_1"]
        assert [g.group_id for g in after.groups if moved[1] in g.tasks] == ["generation_2"]

    @given(acyclic_pipes(pipe_ids()), pipe_ids())
    def test_task_ids_do_not_depend_on_the_other_pipes(
        self, registry: DataPipesRegistry, new: str
    ) -> None:
        ids = registry.get_pipe_ids()
        assume(ids and new not in ids)
        options = TranslateOptions("shop", "shop_pool")
        before = translate(ExecutionPlanGenerator(registry).generate_batch_plan(), options)
        registry.register_pipe(new, output_entity_id="somewhere else")  # some of them read this
        after = translate(ExecutionPlanGenerator(registry).generate_batch_plan(), options)
        said = {task.pipe_id: task.task_id for task in after.tasks()}
        assert {task.pipe_id: task.task_id for task in before.tasks()} == {p: said[p] for p in ids}

    def test_task_is_found_by_its_id(self) -> None:
        dag = spec("a -> my table")
        assert dag.find("my_x20_table") == dag.groups[1].tasks[0]
        assert dag.find("my table") is None

    def test_tasks_beside_the_pipes_are_found_by_their_ids_too(self) -> None:
        dag = spec("a -> b", barrier="generation", on_error="continue")
        assert [dag.find(empty.task_id) for empty in dag.empties()] == list(dag.empties())
        assert [e.task_id for e in dag.empties()] == ["generation_0_done", "kindling_outcome"]

    def test_tasks_beside_the_pipes_can_be_read_as_json(self) -> None:
        document = spec("a -> b", barrier="generation", on_error="continue").to_json()
        assert [e["task_id"] for e in document["barriers"]] == ["generation_0_done"]
        assert document["outcome"]["upstream"] == ("a", "b")


class TestSpecification:
    def test_names_the_plan_that_it_was_compiled_from(self) -> None:
        assert spec(DIAMOND).plan_digest == plan(DIAMOND).digest

    def test_same_plan_and_options_give_the_same_one(self) -> None:
        assert spec(DIAMOND) == spec(DIAMOND)
        assert hash(spec(DIAMOND)) == hash(spec(DIAMOND))
        assert spec(DIAMOND) != spec(DIAMOND, width=5)

    def test_cannot_change(self) -> None:
        for frozen in (spec("a"), spec("a").groups[0], spec("a").tasks()[0]):
            name = dataclasses.fields(frozen)[0].name
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(frozen, name, "changed")

    def test_can_be_read_as_json(self) -> None:
        settings = {"retries": 2, "spark": {"conf": {"x": 1}}}
        options = {"settings": settings, "assets": "lake"}
        document = json.loads(json.dumps(spec("a -> b", **options).to_json()))
        assert document == {
            "dag_id": "shop",
            "pool": "shop_pool",
            "width": 4,
            "pools": {"shop_pool": 4},
            "on_error": "skip_dependents",
            "plan_digest": plan("a -> b").digest,
            "barriers": [],
            "outcome": None,
            "groups": [
                {
                    "group_id": f"generation_{n}",
                    "label": f"generation_{n}",
                    "tooltip": f"Generation {n}: 1 pipe, at most 4 at once in pool 'shop_pool'",
                    "tasks": [
                        {
                            "task_id": task_id,
                            "pipe_id": task_id,
                            "upstream": waits_for,
                            "priority_weight": weight,
                            "trigger_rule": "none_failed",
                            "inlets": [f"lake/{name}.out" for name in waits_for],
                            "outlets": [f"lake/{task_id}.out"],
                            "pool": "shop_pool",
                            "pool_slots": 1,
                            "retries": 2,
                            "spark": {"conf": {"x": "1"}},
                        }
                    ],
                }
                for n, (task_id, waits_for, weight) in enumerate([("a", [], 2), ("b", ["a"], 1)])
            ],
        }


class TestRefusals:
    def test_plan_of_a_strategy_that_commits_itself_to_nothing_is_judged_by_its_order(self) -> None:
        forward = hand_made("a -> b", ["a"], ["b"], strategy="mine")
        assert upstream(translate(forward, TranslateOptions("x", "y"))) == {"a": (), "b": ("a",)}
        backward = hand_made("a -> b", ["b"], ["a"], strategy="mine")
        assert refusal(backward) == (
            "DAG 'shop': a plan of strategy 'mine' starts consumers before their producers, and "
            "does not declare its pipes as streams\n"
            "  Fix: use a strategy of forward order, such as 'batch', or let this one set "
            "execution_order: reverse in the plan's metadata."
        )

    def test_plan_of_a_strategy_that_commits_itself_to_reverse_order_has_streams(self) -> None:
        reverse = dataclasses.replace(
            hand_made("a, b", ["b"], ["a"], strategy="mine"),
            metadata={"execution_order": "reverse"},
        )
        assert translate(reverse, TranslateOptions("x", "y")).lifetime == "continuous"

    def test_edge_to_a_pipe_outside_of_the_plan_does_not_count_as_backward(self) -> None:
        part = hand_made("a -> b -> c", ["c"], ["a"], strategy="mine")
        assert upstream(translate(part, TranslateOptions("x", "y"))) == {"c": (), "a": ()}

    def test_plan_without_pipes(self) -> None:
        assert refusal(plan("")) == (
            "DAG 'shop': the plan has no pipes\n  Fix: declare or choose at least one pipe."
        )

    def test_plan_that_breaks_its_own_rules(self) -> None:
        assert refusal(hand_made("a -> b, c", ["b"], ["a", "b"], ["d"])) == (
            "3 problems in the translation of the plan:\n"
            "1. DAG 'shop': pipe 'b' (generation 0) reads entity 'a.out' of pipe 'a' "
            "(generation 1)\n"
            "  Fix: under strategy 'batch' the producer belongs in an earlier generation than its "
            "consumer.\n"
            "2. DAG 'shop': pipe 'b' is in generation 0 and again in generation 1\n"
            "  Fix: put each pipe into exactly one generation.\n"
            "3. DAG 'shop': pipe 'd' is in the plan but not in its graph\n"
            "  Fix: build the graph with all pipes of the plan."
        )

    def test_all_duration_hints_that_make_no_sense_are_named(self) -> None:
        hints = {"a": 0, "b": "soon", "c": True, "d": -1.5, "e": [1], "f": None, "g": "inf", "h": 2}
        with_hints = plan(
            ", ".join(hints), tags={pipe: {"duration_hint": hint} for pipe, hint in hints.items()}
        )
        what = "tag duration_hint must be a positive number of seconds, not"
        assert refusal(with_hints) == (
            "7 problems in the translation of the plan:\n"
            f"1. DAG 'shop': pipe 'a': {what} 0\n"
            f"2. DAG 'shop': pipe 'b': {what} 'soon'\n"
            f"3. DAG 'shop': pipe 'c': {what} True\n"
            f"4. DAG 'shop': pipe 'd': {what} -1.5\n"
            f"5. DAG 'shop': pipe 'e': {what} [1]\n"
            f"6. DAG 'shop': pipe 'f': {what} None\n"
            f"7. DAG 'shop': pipe 'g': {what} 'inf'"
        )

    def test_priorities_that_make_no_sense_are_named_whatever_the_strategy(self) -> None:
        tagged = plan("a, b, c", tags={"a": {"priority": "high"}, "b": {"priority": 2.5}})
        assert refusal(tagged) == (
            "DAG 'shop': pipe 'a': tag priority must be a finite number, not 'high'\n"
            "  Fix: correct the tag, or leave it out for 0; larger is more urgent."
        )

    def test_wrong_order_and_wrong_hints_come_together(self) -> None:
        backward = hand_made("a -> b", ["b"], ["a"], strategy="mine")
        tagged = plan("a -> b", tags={"b": {"duration_hint": -1}}).graph
        text = refusal(dataclasses.replace(backward, graph=tagged))
        assert text.startswith("2 problems in the translation of the plan:\n1. DAG 'shop': a plan")
        assert text.endswith("duration_hint must be a positive number of seconds, not -1")

    def test_hint_of_a_pipe_outside_of_the_plan_does_no_harm(self) -> None:
        registry = pipes("a")
        registry.register_pipe("b", output_entity_id="b.out", tags={"duration_hint": -1})
        everything = ExecutionPlanGenerator(registry).graph_builder.build_graph()
        part = BatchExecutionStrategy().plan(everything, ["a"])
        assert upstream(translate(part, TranslateOptions("x", "y"))) == {"a": ()}
