"""The error strategies on Airflow: trigger rules, barriers and the outcome, played through.

``Played`` is Airflow's scheduler as far as trigger rules go: it ends tasks one after the other in
the order of the plan, and judges the run by its leaves. ``GenerationExecutor`` is what the
strategies are to mean.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.generation_executor import (
    ErrorStrategy,
    GenerationExecutor,
    PipeSkipped,
    PipeStatus,
)
from kindling_airflow.translator import (
    Barrier,
    Closing,
    DagSpec,
    EmptySpec,
    OnError,
    TaskSpec,
    TranslateOptions,
    translate,
)
from tests.builders import plan
from tests.strategies import acyclic_pipes

BAD = ("failed", "upstream_failed")
STRATEGIES = list(OnError)
BARRIERS = list(Barrier)


def spec_of(some: ExecutionPlan | str, **options: Any) -> DagSpec:
    made = plan(some) if isinstance(some, str) else some
    return translate(made, TranslateOptions("shop", "shop_pool", **options))


class Played:
    """A run of a DAG: the state of each task, by pipe or task id, and of the run."""

    def __init__(
        self, dag: DagSpec, failing: Collection[str] = (), skipping: Collection[str] = ()
    ) -> None:
        nodes: list[TaskSpec | EmptySpec] = [*dag.tasks(), *dag.empties()]
        names = {n.task_id: n.pipe_id if isinstance(n, TaskSpec) else n.task_id for n in nodes}
        states: dict[str, str] = {}
        self.executed: list[str] = []
        while len(states) < len(nodes):
            node = next(
                n for n in nodes if n.task_id not in states and set(n.upstream) <= states.keys()
            )
            before = {states[name] for name in node.upstream}
            if node.trigger_rule == "none_failed" and before.intersection(BAD):
                states[node.task_id] = "upstream_failed"
            elif isinstance(node, EmptySpec):
                states[node.task_id] = "success"
            elif dag.on_error == OnError.FAIL_FAST and "failed" in states.values():
                states[node.task_id] = "failed"  # what operators.start_checks does
            else:
                self.executed.append(node.pipe_id)
                fails, skips = node.pipe_id in failing, node.pipe_id in skipping
                states[node.task_id] = "failed" if fails else "skipped" if skips else "success"
        leaves = {n.task_id for n in nodes} - {name for n in nodes for name in n.upstream}
        self.leaves = {names[leaf] for leaf in leaves}
        self.states = {names[name]: state for name, state in states.items()}
        self.run = "failed" if any(states[leaf] in BAD for leaf in leaves) else "success"


def executed_by_the_executor(
    some: ExecutionPlan, strategy: OnError, failing: Collection[str], skipping: Collection[str]
) -> list[str]:
    def run(pipe_id: str) -> None:
        if pipe_id in failing:
            raise ValueError(pipe_id)
        if pipe_id in skipping:
            raise PipeSkipped("nothing to do")

    result = GenerationExecutor(run).execute_batch(some, error_strategy=strategy.value)
    return [
        pipe.pipe_id
        for generation in result.generation_results
        for pipe in generation.pipe_results
        if pipe.status is not PipeStatus.NOT_RUN
    ]


@st.composite
def runs(draw: st.DrawFn) -> tuple[ExecutionPlan, list[str], list[str]]:
    """Draw a plan, and which of its pipes fail and which have nothing to do."""
    registry = draw(acyclic_pipes().filter(lambda found: bool(found.get_pipe_ids())))
    ids = registry.get_pipe_ids()
    fates = draw(st.lists(st.sampled_from(["ok", "ok", "fails", "skips"]), min_size=9, max_size=9))
    failing = [p for p, fate in zip(ids, fates, strict=False) if fate == "fails"]
    skipping = [p for p, fate in zip(ids, fates, strict=False) if fate == "skips"]
    return ExecutionPlanGenerator(registry).generate_batch_plan(), failing, skipping


@pytest.mark.parametrize("barrier", BARRIERS)
@pytest.mark.parametrize("strategy", STRATEGIES)
class TestEveryStrategy:
    @given(run=runs())
    def test_begins_the_pipes_that_the_executor_begins(
        self, strategy: OnError, barrier: Barrier, run: tuple[ExecutionPlan, list[str], list[str]]
    ) -> None:
        some, failing, skipping = run
        played = Played(spec_of(some, on_error=strategy, barrier=barrier), failing, skipping)
        expected = executed_by_the_executor(some, strategy, failing, skipping)
        assert sorted(played.executed) == sorted(expected)

    @given(run=runs())
    def test_no_silent_green_the_run_fails_if_and_only_if_a_pipe_failed(
        self, strategy: OnError, barrier: Barrier, run: tuple[ExecutionPlan, list[str], list[str]]
    ) -> None:
        some, failing, skipping = run
        for closing in Closing:
            dag = spec_of(some, on_error=strategy, barrier=barrier, closing=closing)
            played = Played(dag, failing, skipping)
            assert played.run == ("failed" if failing else "success")

    @given(run=runs())
    def test_skipped_pipes_stop_nobody(
        self, strategy: OnError, barrier: Barrier, run: tuple[ExecutionPlan, list[str], list[str]]
    ) -> None:
        some, _, skipping = run
        played = Played(spec_of(some, on_error=strategy, barrier=barrier), (), skipping)
        assert sorted(played.executed) == sorted(some.pipe_ids)

    @given(run=runs())
    def test_a_closing_task_is_the_only_leaf_and_tells_the_outcome(
        self, strategy: OnError, barrier: Barrier, run: tuple[ExecutionPlan, list[str], list[str]]
    ) -> None:
        some, failing, skipping = run
        dag = spec_of(some, on_error=strategy, barrier=barrier, closing=Closing.ALWAYS)
        played = Played(dag, failing, skipping)
        assert played.leaves == {"kindling_outcome"}
        expected = "upstream_failed" if failing else "success"
        assert played.states["kindling_outcome"] == expected


class TestWords:
    def test_strategies_are_called_as_the_executor_calls_them(self) -> None:
        assert {word.name: word.value for word in OnError} == {
            word.name: word.value for word in ErrorStrategy
        }

    def test_skip_dependents_is_the_default_and_needs_no_task_of_its_own(self) -> None:
        assert TranslateOptions("d", "p").on_error is OnError.SKIP_DEPENDENTS
        assert spec_of("a -> b").empties() == ()

    def test_a_word_as_text_will_do(self) -> None:
        dag = spec_of("a -> b", on_error="continue", barrier="generation", closing="always")
        assert dag == spec_of(
            "a -> b",
            on_error=OnError.CONTINUE,
            barrier=Barrier.GENERATION,
            closing=Closing.ALWAYS,
        )


class TestContinue:
    def test_failed_pipe_in_the_middle_fails_a_run_whose_leaf_succeeds(self) -> None:
        """
        a -- b -- c       b fails, and c, which Airflow alone would look at, succeeds
        """
        played = Played(spec_of("a -> b -> c", on_error="continue"), failing=["b"])
        assert played.states == {
            "a": "success",
            "b": "failed",
            "c": "success",
            "kindling_outcome": "upstream_failed",
        }

    def test_root_waits_for_tasks_before_the_plan_as_ever(self) -> None:
        """``all_done`` there would start pipes behind a failed task that is none of the plan's."""
        rules = {t.pipe_id: t.trigger_rule for t in spec_of("a -> b", on_error="continue").tasks()}
        assert rules == {"a": "none_failed", "b": "all_done"}

    def test_outcome_waits_for_every_pipe(self) -> None:
        outcome = spec_of("a -> b, my table", on_error="continue").outcome
        assert outcome == EmptySpec(
            task_id="kindling_outcome",
            label="outcome",
            upstream=("a", "b", "my_x20_table"),
            trigger_rule="none_failed",
            doc="Fails if a pipe failed. Skipped pipes do not count.",
        )


class TestBarrier:
    def test_one_task_stands_behind_each_generation_but_the_last(self) -> None:
        r"""
        a     b            a \              / b \              / d
          \ /      becomes     generation_0        generation_1
        x -- c -- d        x /              \ c /
        """
        dag = spec_of("a -> b, x -> c -> d, a -> c", barrier="generation")
        assert [(e.task_id, e.label, e.upstream) for e in dag.barriers] == [
            ("generation_0_done", "generation 0 done", ("a", "x")),
            ("generation_1_done", "generation 1 done", ("b", "c")),
        ]
        assert {t.pipe_id: t.upstream for t in dag.tasks()} == {
            "a": (),
            "x": (),
            "b": ("a", "generation_0_done"),
            "c": ("x", "a", "generation_0_done"),
            "d": ("c", "generation_1_done"),
        }

    def test_edges_grow_with_pipes_and_not_with_their_square(self) -> None:
        drawing = ", ".join(f"root{n} -> leaf{n}" for n in range(50))
        dag = spec_of(drawing, barrier="generation")
        assert sum(len(node.upstream) for node in (*dag.tasks(), *dag.barriers)) == 50 + 100

    def test_failed_pipe_without_readers_does_not_pass_unseen(self) -> None:
        played = Played(spec_of("a, b -> c", barrier="generation"), failing=["a"])
        assert (played.states["c"], played.run) == ("success", "failed")

    def test_fail_fast_stops_at_the_barrier_without_starting_a_worker(self) -> None:
        dag = spec_of("a, b -> c", barrier="generation", on_error="fail_fast")
        assert dag.outcome is None
        played = Played(dag, failing=["a"])
        assert played.states["generation_0_done"] == "upstream_failed"
        assert played.states["c"] == "upstream_failed"

    def test_one_generation_has_no_barrier(self) -> None:
        assert spec_of("a, b", barrier="generation").barriers == ()

    def test_generation_without_pipes_is_no_hole_in_the_wall(self) -> None:
        from tests.translator.test_translate import hand_made

        made = hand_made("a -> b", ["a"], [], ["b"], strategy="mine")
        dag = translate(made, TranslateOptions("x", "y", barrier=Barrier.GENERATION))
        assert [(e.task_id, e.upstream) for e in dag.barriers] == [("generation_0_done", ("a",))]
        assert [t.upstream for t in dag.tasks()] == [(), ("a", "generation_0_done")]
        assert dag.barriers[0].doc == "Barrier: generation 2 waits for all of generation 0."
