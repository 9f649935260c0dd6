"""Plan and execute in one call."""

from __future__ import annotations

import logging

import pytest

from kindling_airflow.errors import ExecutionError, GraphValidationError
from kindling_airflow.execution_orchestrator import ExecutionOrchestrator
from kindling_airflow.execution_strategy import BatchExecutionStrategy, ExecutionPlanGenerator
from kindling_airflow.generation_executor import GenerationExecutor, StreamingOptions
from tests.builders import pipes
from tests.generation_executor.simulation import Does, Pipes, Simulation, fails, listening
from tests.generation_executor.test_streams import Streams


def orchestrator_of(runner: Pipes, drawing: str = "a -> b, c") -> ExecutionOrchestrator:
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    return ExecutionOrchestrator(ExecutionPlanGenerator(pipes(drawing)), executor)


def test_pipes_are_planned_and_run() -> None:
    runner = Pipes(Simulation())
    result = orchestrator_of(runner).execute(["b", "a"], "batch", run_id="tonight")
    assert runner.started == ["a", "b"]
    assert (result.run_id, result.plan.strategy) == ("tonight", "batch")


def test_all_pipes_are_run_when_none_are_named() -> None:
    runner = Pipes(Simulation(), {"a": Does(1, fails())})
    result = orchestrator_of(runner).execute_batch(parallel=True, error_strategy="continue")
    assert sorted(runner.started) == ["a", "b", "c"]
    assert result.failed_pipes == ("a",)


def test_a_strategy_may_be_an_object() -> None:
    runner = Pipes(Simulation())
    assert orchestrator_of(runner).execute(None, BatchExecutionStrategy()).all_succeeded


def test_the_plan_is_told_before_it_is_executed() -> None:
    orchestrator = orchestrator_of(Pipes(Simulation()))
    with listening("plan_generated", "execution_started") as heard:
        result = orchestrator.execute_batch(["a", "b"])
    (first, told), (second, _) = heard
    assert (first, second) == ("plan_generated", "execution_started")
    assert told == {
        "sender": orchestrator,
        "plan": result.plan,
        "pipe_ids": ("a", "b"),
        "strategy": "batch",
    }


def test_a_receiver_of_the_plan_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    raising = {"plan_generated": ValueError("mine")}
    with caplog.at_level(logging.ERROR), listening(raising=raising):
        assert orchestrator_of(Pipes(Simulation())).execute_batch().all_succeeded
    assert (
        caplog.records[0]
        .getMessage()
        .startswith("a receiver of orchestrator.plan_generated failed; the execution continues\n")
    )


def test_nothing_runs_when_there_is_no_valid_plan() -> None:
    runner = Pipes(Simulation())
    with pytest.raises(GraphValidationError, match="unknown pipe 'x'"):
        orchestrator_of(runner).execute_batch(["x"])
    with pytest.raises(ExecutionError, match="cannot be run as a batch"):
        orchestrator_of(runner).execute(["a"], "streaming")
    assert runner.started == []


def test_streams_are_planned_and_started() -> None:
    sim = Simulation()
    streams = Streams(sim)
    executor = GenerationExecutor(streams, threads=sim.threads)
    orchestrator = ExecutionOrchestrator(ExecutionPlanGenerator(pipes("a -> b")), executor)
    with listening("plan_generated") as heard:
        with orchestrator.execute_streaming(
            ["a", "b"], StreamingOptions(poll_seconds=1), run_id="live"
        ) as execution:
            assert streams.story == ["start b", "start a"]
        assert execution.run_id == "live"
    assert heard[0][1]["strategy"] == "streaming"
