"""Hybrid plans: streams first, then batch pipes beside them. Time is virtual."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kindling_airflow.errors import ExecutionError, StreamError
from kindling_airflow.execution_plan import ExecutionPlan, Generation
from kindling_airflow.generation_executor import (
    ExecutionInterrupted,
    GenerationExecutor,
    StreamingExecution,
)
from kindling_airflow.generation_executor.hybrid import batch_part, stream_part
from kindling_airflow.generation_executor.signals import pipe_completed
from tests.builders import plan
from tests.generation_executor.simulation import (
    Does,
    Simulation,
    fails,
    interrupted_once,
    listening,
)
from tests.generation_executor.test_streams import OPTIONS, Stream, Streams, outcomes

SHOP = "ingest -> clean -> alert, clean -> daily -> report"
STREAMING = {"processing_mode": "streaming"}
TAGS = dict.fromkeys(("ingest", "clean", "alert"), STREAMING)


class Both(Streams):
    """Streams by script, and batch pipes by another."""

    def __init__(
        self,
        simulation: Simulation,
        script: dict[str, Stream] | None = None,
        batch: dict[str, Does] | None = None,
    ) -> None:
        super().__init__(simulation, script)
        self.batch = batch or {}

    def __call__(self, pipe_id: str) -> Any:
        does = self.batch.get(pipe_id, Does(10))
        self.story.append(f"run {pipe_id}")
        self.simulation.takes(does.seconds)
        if isinstance(does.outcome, BaseException):
            raise does.outcome
        return does.outcome


def hybrid(drawing: str = SHOP) -> ExecutionPlan:
    return plan(drawing, "hybrid", TAGS)


def begin(
    script: dict[str, Stream] | None = None, batch: dict[str, Does] | None = None, **options: Any
) -> tuple[StreamingExecution, Both]:
    runner = Both(Simulation(), script, batch)
    executor = GenerationExecutor(
        runner, threads=runner.simulation.threads, new_run_id=lambda: "run"
    )
    return executor.execute_streaming(hybrid(), OPTIONS, batch_options=options), runner


def begin_in_vain(
    script: dict[str, Stream], batch: dict[str, Does] | None = None
) -> tuple[StreamError, Both]:
    runner = Both(Simulation(), script, batch)
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    with pytest.raises(StreamError) as raised:
        executor.execute_streaming(hybrid(), OPTIONS)
    return raised.value, runner


WELL = ("success", "")


def test_streams_are_ready_before_the_batch_pipes_run_forward() -> None:
    execution, runner = begin()
    assert runner.story == [
        *("start alert", "start clean", "start ingest"),
        *("run daily", "run report"),
    ]
    assert list(execution.streaming_queries) == ["alert", "clean", "ingest"]
    assert [(r.pipe_id, r.status.value) for r in execution.batch_results] == [
        ("daily", "success"),
        ("report", "success"),
    ]
    assert execution.result is None
    assert not execution.await_termination(timeout=3)
    del runner.story[:]
    result = execution.stop()
    assert runner.story[::2] == ["drain ingest", "drain clean", "drain alert"]
    assert outcomes(result) == dict.fromkeys(hybrid().pipe_ids, WELL)
    assert [g.duration_seconds for g in result.generation_results] == [2, 2, 2, 10, 10]
    assert result.plan == hybrid()


def test_the_story_of_a_hybrid_plan_is_told_with_the_numbers_of_its_generations() -> None:
    with listening() as heard:
        begin()[0].stop()
    told = [(name, said.get("pipe_id", ""), said.get("generation_number")) for name, said in heard]
    assert told[0][0] == "execution_started"
    assert told[-1][0] == "execution_completed"
    assert [name for name, *_ in told].count("execution_started") == 1
    batch = [entry for entry in told if entry[1] in ("daily", "report")]
    assert batch == [
        ("pipe_started", "daily", 3),
        ("pipe_completed", "daily", 3),
        ("pipe_started", "report", 4),
        ("pipe_completed", "report", 4),
    ]
    generations = [said["generation"].number for n, said in heard if n == "generation_started"]
    assert generations == [0, 1, 2, 3, 4]
    assert {said["plan"].digest for _, said in heard} == {hybrid().digest}


def test_a_batch_pipe_that_fails_leaves_the_streams_alone_and_fails_the_result() -> None:
    execution, _ = begin(batch={"daily": Does(1, fails("no"))})
    assert not execution.await_termination(timeout=100)
    result = execution.stop()
    assert outcomes(result) == {
        "alert": WELL,
        "clean": WELL,
        "ingest": WELL,
        "daily": ("failed", "no"),
        "report": ("not_run", "upstream pipe 'daily' failed"),
    }
    assert not result.all_succeeded


def test_options_are_those_of_a_batch_run() -> None:
    execution, runner = begin(batch={"daily": Does(1, fails("no"))}, retry_attempts=1)
    assert runner.story.count("run daily") == 2
    execution.stop()
    with pytest.raises(
        ExecutionError, match=r"^max_workers must be a whole number of at least 1, not 0"
    ):
        begin(max_workers=0)


def test_a_stream_that_fails_beside_the_batch_lets_no_further_pipe_begin() -> None:
    """It fails 5 s after its start, while 'daily' runs: that may end, 'report' does not begin."""
    error = ValueError("bad row")
    raised, runner = begin_in_vain({"ingest": Stream(fails_in=5, error=error)})
    assert str(raised) == "stream 'ingest' failed, and all others were stopped: bad row"
    assert raised.__cause__ is error
    assert runner.story[3:] == [
        *("run daily", "stop ingest", "drain clean", "stop clean", "drain alert", "stop alert"),
    ]
    stopped = ("success", "stopped: stream 'ingest' failed")
    assert outcomes(raised.result) == {
        "alert": stopped,
        "clean": stopped,
        "ingest": ("failed", "bad row"),
        "daily": WELL,
        "report": ("not_run", "stream 'ingest' failed"),
    }


def test_no_pipe_of_the_batch_is_tried_again_when_a_stream_has_failed() -> None:
    """'daily' fails at once and waits for its next try; 'ingest' fails meanwhile."""
    runner = Both(Simulation(), {"ingest": Stream(fails_in=5)}, {"daily": Does(1, fails("no"))})
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    with pytest.raises(StreamError) as raised:
        executor.execute_streaming(
            hybrid(),
            OPTIONS,
            batch_options={"retry_attempts": 3, "retry_interval_seconds": 600},
        )
    assert runner.story.count("run daily") == 1
    assert runner.simulation.now < 60
    found = raised.value.result.pipe_result("daily")
    assert found is not None
    assert (found.status.value, found.reason) == (
        "failed",
        "not retried: stream 'ingest' failed",
    )


def test_batch_pipes_do_not_run_when_a_stream_does_not_start() -> None:
    raised, runner = begin_in_vain({"clean": Stream(start_error=OSError("no broker"))})
    assert runner.story == ["start alert", "start clean", "drain alert", "stop alert"]
    reason = ("not_run", "stream 'clean' failed")
    assert outcomes(raised.result)["report"] == reason
    assert outcomes(raised.result)["ingest"] == reason


def test_a_stream_may_end_while_the_batch_runs() -> None:
    execution, runner = begin({"ingest": Stream(ends_in=3)})
    del runner.story[:]
    assert outcomes(execution.stop()) == dict.fromkeys(hybrid().pipe_ids, WELL)
    assert "drain ingest" not in runner.story


def test_an_execution_whose_streams_end_by_themselves_ends_with_them() -> None:
    execution, _ = begin({p: Stream(ends_in=60) for p in TAGS})
    assert execution.await_termination(timeout=100)
    assert outcomes(execution.result) == dict.fromkeys(hybrid().pipe_ids, WELL)


def test_an_interrupt_of_the_batch_stops_everything() -> None:
    """It comes when 'daily' has ended."""
    runner = Both(Simulation())
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    with interrupted_once(pipe_completed), pytest.raises(ExecutionInterrupted) as raised:
        executor.execute_streaming(hybrid(), OPTIONS)
    found = outcomes(raised.value.result)
    assert found["daily"] == WELL
    assert found["report"] == ("not_run", "the execution was interrupted")
    assert runner.story[-6::2] == ["drain ingest", "drain clean", "drain alert"]


def test_a_plan_of_streams_alone_has_no_batch() -> None:
    drawn = plan("ingest -> clean", "hybrid", TAGS)
    assert batch_part(drawn) is None
    assert stream_part(drawn) == drawn.generations
    runner = Both(Simulation())
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    execution = executor.execute_streaming(drawn, OPTIONS)
    assert execution.batch_results == ()
    assert execution.stop().all_succeeded


def test_a_plan_of_batch_pipes_alone_has_no_streams() -> None:
    runner = Both(Simulation())
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    execution = executor.execute_streaming(plan("a -> b", "hybrid"), OPTIONS)
    assert runner.story == ["run a", "run b"]
    assert execution.await_termination()
    assert execution.result is not None
    assert execution.result.all_succeeded


def test_a_generation_with_both_kinds_is_halved() -> None:
    """A strategy of somebody else may put an alert beside a batch pipe that it has no edge to."""
    drawn = plan("ingest -> alert, a -> b", "hybrid", TAGS)
    columns = (("alert", "a"), ("ingest", "b"))
    mixed = replace(drawn, generations=tuple(Generation(n, c) for n, c in enumerate(columns)))
    assert mixed.validate()
    assert [g.pipe_ids for g in stream_part(mixed)] == [("alert",), ("ingest",)]
    half = batch_part(mixed)
    assert half is not None
    assert [(g.number, g.pipe_ids) for g in half.generations] == [(0, ("a",)), (1, ("b",))]
    runner = Both(Simulation())
    executor = GenerationExecutor(runner, threads=runner.simulation.threads)
    result = executor.execute_streaming(mixed, OPTIONS).stop()
    assert runner.story[:4] == ["start alert", "start ingest", "run a", "run b"]
    assert result.all_succeeded
    assert [g.duration_seconds for g in result.generation_results] == [12, 12]


def test_halves_of_other_plans() -> None:
    for strategy in ("batch", "streaming"):
        drawn = plan("a -> b", strategy)
        assert stream_part(drawn) == drawn.generations
        assert batch_part(drawn) is None
