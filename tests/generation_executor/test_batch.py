"""A plan run to its end: order, width, failures, what is in the result."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.errors import ExecutionError, PipeRunError, PlanValidationError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.generation_executor import (
    ErrorStrategy,
    ExecutionInterrupted,
    ExecutionResult,
    GenerationExecutor,
    PipeResult,
    PipeStatus,
    Skipped,
)
from tests.builders import graph, plan
from tests.generation_executor.simulation import Does, Pipes, Simulation, Span, fails, listening

DIAMOND = "a -> b -> d, a -> c -> d, lone"


def run(drawing: str, script: Any = None, **options: Any) -> tuple[ExecutionResult, Pipes]:
    """Run a drawing in virtual time."""
    sim = Simulation()
    pipes = Pipes(sim, script)
    executor = GenerationExecutor(pipes, threads=sim.threads, new_run_id=lambda: "run")
    return executor.execute(plan(drawing), **options), pipes


def statuses(result: ExecutionResult) -> dict[str, str]:
    return {r.pipe_id: r.status.value for r in result.pipe_results}


def reasons(result: ExecutionResult) -> dict[str, str]:
    return {r.pipe_id: r.reason for r in result.pipe_results if r.status is PipeStatus.NOT_RUN}


def test_sequential_execution_runs_one_pipe_after_the_other_in_the_order_of_the_plan() -> None:
    result, pipes = run(DIAMOND)
    assert result.all_succeeded
    assert pipes.spans == [
        Span("a", 0, 1),
        Span("lone", 1, 2),
        Span("b", 2, 3),
        Span("c", 3, 4),
        Span("d", 4, 5),
    ]
    assert [g.duration_seconds for g in result.generation_results] == [2, 2, 1]
    assert result.duration_seconds == 5


def test_a_generation_starts_when_the_one_before_is_done() -> None:
    """``b`` could start at 1, but ``lone``, of the generation before, runs until 10."""
    result, pipes = run("a -> b, lone", {"lone": Does(10)}, parallel=True)
    assert pipes.spans == [Span("a", 0, 1), Span("lone", 0, 10), Span("b", 10, 11)]
    assert [r.pipe_id for r in result.pipe_results] == ["a", "lone", "b"]


def test_no_more_pipes_run_at_once_than_there_are_workers() -> None:
    script = {"p1": Does(3), "p2": Does(1)}
    _, pipes = run("p1, p2, p3, p4", script, parallel=True, max_workers=2)
    assert pipes.spans == [Span("p1", 0, 3), Span("p2", 0, 1), Span("p3", 1, 2), Span("p4", 2, 3)]


def test_results_come_in_the_order_of_the_plan_whatever_ended_first() -> None:
    result, _ = run("slow, quick", {"slow": Does(9)}, parallel=True)
    assert [r.pipe_id for r in result.pipe_results] == ["slow", "quick"]
    assert [r.duration_seconds for r in result.pipe_results] == [9, 1]


def test_an_empty_plan_succeeds_with_nothing() -> None:
    result, _ = run("")
    assert result.get_summary() == {
        "run_id": "run",
        "strategy": "batch",
        "total_pipes": 0,
        "generations_executed": 0,
        "success_count": 0,
        "failed_count": 0,
        "skipped_count": 0,
        "not_run_count": 0,
        "duration_seconds": 0.0,
        "all_succeeded": True,
        "failed_pipes": [],
        "cache_metrics": {"hits": 0, "misses": 0, "entities": {}},
    }


def test_a_plan_that_breaks_its_rules_is_refused_before_anything_runs() -> None:
    pipes = Pipes(Simulation())
    broken = ExecutionPlan(["a"], [], graph("a"), "batch")
    executor = GenerationExecutor(pipes)
    for execute in (executor.execute, executor.execute_batch, executor.execute_streaming):
        with pytest.raises(PlanValidationError, match="'a' is in no generation"):
            execute(broken)
    assert pipes.spans == []


@pytest.mark.parametrize(
    ("strategy", "metadata", "direction"),
    [
        ("streaming", {}, "reverse"),
        ("mixed", {"execution_order": "hybrid", "streaming_pipes": ["a"]}, "hybrid"),
    ],
)
def test_plans_for_streams_are_not_run_to_their_end(
    strategy: str, metadata: dict[str, Any], direction: str
) -> None:
    streaming = plan("a", "streaming")
    found = ExecutionPlan(
        streaming.pipe_ids, streaming.generations, streaming.graph, strategy, metadata
    )
    pipes = Pipes(Simulation())
    executor = GenerationExecutor(pipes)
    for execute in (executor.execute, executor.execute_batch):
        with pytest.raises(ExecutionError) as refused:
            execute(found)
        assert str(refused.value) == (
            f"a plan of strategy {strategy!r} cannot be run as a batch: its order is {direction}, "
            "so consumers would run before their producers\n"
            "  Fix: create a batch plan for these pipes, or start them as streams with "
            "execute_streaming()."
        )
    assert pipes.started == []


def test_what_depends_on_a_failure_is_not_run_and_names_it() -> None:
    result, pipes = run("a -> b -> c -> d, x -> y, y -> d", {"b": Does(1, fails())})
    assert pipes.started == ["a", "x", "b", "y"]
    assert statuses(result) == {
        "a": "success",
        "x": "success",
        "b": "failed",
        "y": "success",
        "c": "not_run",
        "d": "not_run",
    }
    assert reasons(result) == {"c": "upstream pipe 'b' failed", "d": "upstream pipe 'b' failed"}
    assert not result.all_succeeded
    assert result.failed_pipes == ("b",)


def test_every_failure_upstream_is_named_once() -> None:
    script = {"a": Does(1, fails()), "b": Does(1, fails())}
    result, _ = run("a -> c -> e, b -> d -> e, a -> e", script)
    assert reasons(result)["e"] == "upstream pipes 'a', 'b' failed"


def test_of_many_failures_upstream_ten_are_named() -> None:
    many = [f"p{n:02}" for n in range(12)]
    result, _ = run(", ".join(f"{p} -> sink" for p in many), {p: Does(1, fails()) for p in many})
    named = ", ".join(map(repr, many[:10]))
    assert reasons(result)["sink"] == f"upstream pipes {named} failed"


def test_a_generation_in_which_nothing_can_run_is_not_executed() -> None:
    result, _ = run("a -> b -> c", {"a": Does(1, fails())})
    assert [g.executed for g in result.generation_results] == [True, False, False]
    assert result.get_summary()["generations_executed"] == 1
    assert result.get_summary()["not_run_count"] == 2


def test_continue_runs_everything_whatever_failed() -> None:
    result, pipes = run("a -> b", {"a": Does(1, fails())}, error_strategy="continue")
    assert pipes.started == ["a", "b"]
    assert statuses(result) == {"a": "failed", "b": "success"}
    assert not result.all_succeeded


def test_a_pipe_with_nothing_to_do_counts_as_done() -> None:
    result, pipes = run("a -> b", {"a": Does(1, Skipped("no new rows"))})
    assert pipes.started == ["a", "b"]
    assert statuses(result) == {"a": "skipped", "b": "success"}
    assert result.pipe_results[0].reason == "no new rows"
    assert result.all_succeeded
    assert result.get_summary()["skipped_count"] == 1
    result.raise_if_failed()


def test_fail_fast_starts_nothing_more_and_lets_what_runs_end() -> None:
    """With three workers: b fails at 1, a and c go on to 5, d and e never run."""
    script = {"a": Does(5), "b": Does(1, fails()), "c": Does(5)}
    options = {"parallel": True, "max_workers": 3, "error_strategy": ErrorStrategy.FAIL_FAST}
    result, pipes = run("a, b, c, d -> e", script, **options)
    assert pipes.spans == [Span("a", 0, 5), Span("b", 0, 1), Span("c", 0, 5)]
    assert statuses(result) == {
        "a": "success",
        "b": "failed",
        "c": "success",
        "d": "not_run",
        "e": "not_run",
    }
    assert reasons(result) == {
        "d": "pipe 'b' failed (fail_fast)",
        "e": "pipe 'b' failed (fail_fast)",
    }
    assert result.duration_seconds == 5


def test_the_first_of_several_failures_is_the_one_that_stopped_the_run() -> None:
    script = {"a": Does(2, fails()), "b": Does(1, fails())}
    result, _ = run("a, b, c", script, parallel=True, max_workers=2, error_strategy="fail_fast")
    assert result.failed_pipes == ("a", "b")
    assert reasons(result) == {"c": "pipe 'b' failed (fail_fast)"}


def test_the_documents_call_works_as_it_stands() -> None:
    executor = GenerationExecutor(lambda pipe_id: None)
    result = executor.execute_batch(plan(DIAMOND), parallel=True, max_workers=4)
    assert result.all_succeeded
    assert result.get_summary()["success_count"] == 5


def test_a_run_has_a_name_given_or_made() -> None:
    executor = GenerationExecutor(lambda pipe_id: None)
    assert executor.execute(plan("a"), run_id="tonight").run_id == "tonight"
    first, second = (executor.execute(plan("a")).run_id for _ in range(2))
    assert len({first, second}) == 2


def test_a_failure_raises_when_asked_to_and_names_every_pipe() -> None:
    result, _ = run("a -> b, c", {"a": Does(1, fails("disk full"))})
    with pytest.raises(PipeRunError) as raised:
        result.raise_if_failed()
    assert str(raised.value) == (
        "run 'run': 2 of 3 pipes did not succeed\n"
        "  'a' failed: ValueError: disk full\n"
        "  'b' not run: upstream pipe 'a' failed"
    )


def test_dependencies_outside_of_the_plan_do_not_count() -> None:
    """The graph knows more pipes than the plan, as when one strategy plans a part of it."""
    known = plan("a -> b -> c")
    part = ExecutionPlan(["c"], [known.generations[2].__class__(0, ["c"])], known.graph, "batch")
    result = GenerationExecutor(lambda pipe_id: None).execute(part)
    assert statuses(result) == {"c": "success"}


def uncommitted(drawing: str, *columns: str) -> ExecutionPlan:
    """Return a plan of a strategy that commits to no order, with these generations."""
    generations = [Generation(n, column.split()) for n, column in enumerate(columns)]
    return ExecutionPlan(" ".join(columns).split(), generations, graph(drawing), "own")


def test_a_plan_that_commits_to_no_order_runs_as_it_stands() -> None:
    """Consumers before producers, if the strategy says so: only earlier failures count."""
    sim = Simulation()
    pipes = Pipes(sim, {"a": Does(1, fails())})
    result = GenerationExecutor(pipes, threads=sim.threads).execute(uncommitted("a -> b", "b", "a"))
    assert pipes.started == ["b", "a"]
    assert statuses(result) == {"b": "success", "a": "failed"}


def test_execute_batch_refuses_a_plan_that_commits_to_no_order_and_is_not_forward() -> None:
    """'out' is no pipe of the plan, so what it reads and who reads it does not count."""
    pipes = Pipes(Simulation())
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(pipes).execute_batch(
            uncommitted("x -> out -> y, a -> b -> c, a -> c", "x", "y a", "c", "b")
        )
    assert str(refused.value) == (
        "a plan of strategy 'own' is not a batch plan: pipe 'c' (generation 2) reads entity "
        "'b.out' "
        "of pipe 'b' (generation 3)\n"
        "  Fix: create a batch plan for these pipes, run this plan unchanged with execute(), or "
        "start it as streams with execute_streaming()."
    )
    assert pipes.started == []


def test_execute_batch_refuses_a_broken_plan_for_what_is_broken() -> None:
    """Here consumers come first, too, but what counts is that this is no plan at all."""
    broken = uncommitted("a -> b", "a b", "a")
    with pytest.raises(PlanValidationError, match="'a' is in generation 0 and again in"):
        GenerationExecutor(print).execute_batch(broken)


def test_execute_batch_runs_a_plan_that_is_forward_without_committing_to_it() -> None:
    sim = Simulation()
    pipes = Pipes(sim)
    executor = GenerationExecutor(pipes, threads=sim.threads)
    assert executor.execute_batch(uncommitted("a -> b -> c", "a", "b", "c")).all_succeeded
    assert pipes.started == ["a", "b", "c"]


def interrupted_at(
    name: str,
    error: BaseException,
    drawing: str = "a -> b, x, y -> z",
    script: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[BaseException, Pipes, list[tuple[str, dict[str, Any]]]]:
    """Run with a receiver that raises ``error`` at every signal of this name."""
    sim = Simulation()
    pipes = Pipes(sim, script)
    executor = GenerationExecutor(pipes, threads=sim.threads, new_run_id=lambda: "run")
    with (
        listening(raising={name: error}) as heard,
        pytest.raises((KeyboardInterrupt, SystemExit)) as got,
    ):
        executor.execute(plan(drawing), **options)
    return got.value, pipes, heard


def test_an_interrupt_carries_the_results_so_far() -> None:
    interrupt = KeyboardInterrupt()
    error, pipes, heard = interrupted_at(
        "pipe_completed", interrupt, script={"x": Does(2)}, parallel=True, max_workers=2
    )
    assert isinstance(error, ExecutionInterrupted)
    assert not isinstance(error, Exception)
    assert error.__cause__ is interrupt
    assert str(error) == "run 'run' was interrupted"
    assert pipes.started == ["a", "x"]
    assert statuses(error.result) == {
        "a": "success",
        "x": "failed",
        "y": "not_run",
        "b": "not_run",
        "z": "not_run",
    }
    running = error.result.pipe_result("x")
    assert running is not None
    assert running.error == "the execution was interrupted while it ran"
    assert running.error_type == "KeyboardInterrupt"
    assert set(reasons(error.result).values()) == {"the execution was interrupted"}
    assert error.result.duration_seconds == 1
    assert [name for name, _ in heard][-2:] == ["generation_failed", "execution_failed"]


def test_pipes_that_have_ended_when_the_interrupt_comes_are_told_as_they_ended() -> None:
    """a, x and y end in the same second, and the interrupt comes when that of a is told."""
    script = {"x": Does(1, Skipped("nothing new")), "y": Does(1, fails("no")), "v": Does(2)}
    error, _, _ = interrupted_at(
        "pipe_completed", KeyboardInterrupt(), "a, x, y, v", script, parallel=True, retry_attempts=1
    )
    assert isinstance(error, ExecutionInterrupted)
    assert [(r.status.value, r.error, r.reason) for r in error.result.pipe_results] == [
        ("success", None, ""),
        ("skipped", None, "nothing new"),
        ("failed", "no", "not retried: the execution was interrupted"),
        ("failed", "the execution was interrupted while it ran", ""),
    ]


def test_an_interrupt_before_the_first_pipe_is_in_order_too() -> None:
    error, pipes, heard = interrupted_at("execution_started", KeyboardInterrupt())
    assert isinstance(error, ExecutionInterrupted)
    assert pipes.started == []
    assert set(statuses(error.result).values()) == {"not_run"}
    assert "generation_started" not in [name for name, _ in heard]


def test_a_pipe_that_was_announced_when_the_interrupt_came_has_an_end() -> None:
    error, pipes, heard = interrupted_at("pipe_started", KeyboardInterrupt(), "a")
    assert isinstance(error, ExecutionInterrupted)
    assert statuses(error.result) == {"a": "not_run"}
    assert pipes.started == []
    assert [name for name, said in heard if said.get("pipe_id") == "a"] == [
        "pipe_started",
        "pipe_skipped",
    ]


def test_an_interrupt_that_is_interrupted_still_has_results() -> None:
    """The second one comes while the first one is being recorded: what is missing was not run."""
    interrupt = KeyboardInterrupt()
    sim = Simulation()
    executor = GenerationExecutor(Pipes(sim), threads=sim.threads)
    raising = {"pipe_completed": interrupt, "pipe_skipped": interrupt}
    with listening(raising=raising), pytest.raises(ExecutionInterrupted) as raised:
        executor.execute(plan("a, b, c"))
    assert statuses(raised.value.result) == {"a": "success", "b": "not_run", "c": "not_run"}
    assert reasons(raised.value.result)["c"] == "the execution was interrupted"


def test_an_exit_in_a_receiver_ends_the_run_in_order() -> None:
    leave = SystemExit(3)
    error, pipes, heard = interrupted_at("pipe_completed", leave)
    assert error is leave
    assert pipes.started == ["a"]
    name, said = heard[-1]
    assert name == "execution_failed"
    assert statuses(said["result"])["x"] == "not_run"


def test_a_result_is_found_by_its_pipe() -> None:
    result, _ = run("a", {"a": Does(2, {"rows": 3})})
    assert result.pipe_result("a") == PipeResult(
        "a", PipeStatus.SUCCESS, 2, attempts=1, report={"rows": 3}
    )
    assert result.pipe_result("b") is None


def test_a_hybrid_plan_without_streams_is_run_like_any_other() -> None:
    sim = Simulation()
    executor = GenerationExecutor(Pipes(sim), threads=sim.threads)
    for execute in (executor.execute, executor.execute_batch):
        assert execute(plan("a -> b", "hybrid")).all_succeeded
