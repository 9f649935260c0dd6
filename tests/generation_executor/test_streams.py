"""Streams: started in the plan's order, watched, stopped against it. Handles are fakes at the seam.

Time is virtual: a stream is ready, fails or ends so many seconds after it was started.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kindling_airflow.errors import ExecutionError, PipeTimeoutError, StreamError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor import (
    ExecutionInterrupted,
    ExecutionResult,
    GenerationExecutor,
    PipeStatus,
    ReportingStream,
    StreamHandle,
    StreamingExecution,
    StreamStarter,
)
from kindling_airflow.generation_executor.signals import pipe_completed, pipe_failed, pipe_started
from tests.builders import plan
from tests.generation_executor.simulation import Simulation, interrupted_once, listening, never

PATIENCE = 30.0


@dataclass
class Stream:
    """What a stream does: seconds count from its start; ``never`` is never."""

    starts_in: float = 1.0
    ready_in: float = 2.0
    fails_in: float = never
    ends_in: float = never
    error: BaseException | str = "broken"
    start_error: BaseException | None = None
    drains_in: float = 0.0
    drain_error: BaseException | None = None
    stops_in: float = 0.0
    stop_error: BaseException | None = None
    asked_error: BaseException | None = None


class Handle:
    """A stream that follows its script."""

    def __init__(self, streams: Streams, pipe_id: str, script: Stream) -> None:
        self.streams = streams
        self.pipe_id = pipe_id
        self.script = script
        self.began = streams.simulation.now
        self.stopped = False

    def _is_past(self, seconds: float) -> bool:
        return self.streams.simulation.now >= self.began + seconds

    def is_ready(self) -> bool:
        return self._is_past(self.script.ready_in)

    def is_active(self) -> bool:
        if self.script.asked_error is not None and self._is_past(self.script.fails_in):
            raise self.script.asked_error
        over = self._is_past(self.script.fails_in) or self._is_past(self.script.ends_in)
        return not self.stopped and not over

    def error(self) -> BaseException | str | None:
        if self.script.asked_error is not None and self.stopped:
            raise self.script.asked_error
        return self.script.error if self._is_past(self.script.fails_in) else None

    def drain(self) -> None:
        self.streams.story.append(f"drain {self.pipe_id}")
        self.streams.simulation.takes(self.script.drains_in)
        if self.script.drain_error is not None:
            raise self.script.drain_error

    def stop(self) -> None:
        self.streams.story.append(f"stop {self.pipe_id}")
        self.streams.simulation.takes(self.script.stops_in)
        self.stopped = True
        if self.script.stop_error is not None:
            raise self.script.stop_error


class Streams:
    """A runner that starts scripted streams."""

    def __init__(self, simulation: Simulation, script: dict[str, Stream] | None = None) -> None:
        self.simulation = simulation
        self.script = script or {}
        self.story: list[str] = []
        self.times: list[tuple[str, float]] = []

    def __call__(self, pipe_id: str) -> None: ...

    def start(self, pipe_id: str) -> Handle:
        script = self.script.get(pipe_id, Stream())
        self.story.append(f"start {pipe_id}")
        self.times.append((pipe_id, self.simulation.now))
        self.simulation.takes(script.starts_in)
        if script.start_error is not None:
            raise script.start_error
        return Handle(self, pipe_id, script)


OPTIONS = {"poll_seconds": 1.0, "ready_timeout": 20.0, "drain_timeout": 5.0, "stop_timeout": 5.0}


def begin(
    drawing: str, script: dict[str, Stream] | None = None, tags: Any = None
) -> tuple[StreamingExecution, Streams]:
    streams = Streams(Simulation(), script)
    executor = GenerationExecutor(
        streams, threads=streams.simulation.threads, new_run_id=lambda: "run"
    )
    return executor.execute_streaming(plan(drawing, "streaming", tags), OPTIONS), streams


def begin_in_vain(
    drawing: str, script: dict[str, Stream], tags: Any = None
) -> tuple[StreamError, Streams]:
    streams = Streams(Simulation(), script)
    executor = GenerationExecutor(
        streams, threads=streams.simulation.threads, new_run_id=lambda: "run"
    )
    with pytest.raises(StreamError) as raised:
        executor.execute_streaming(plan(drawing, "streaming", tags), OPTIONS)
    return raised.value, streams


def outcomes(result: Any) -> dict[str, tuple[str, str]]:
    assert isinstance(result, ExecutionResult)
    return {r.pipe_id: (r.status.value, r.error or r.reason) for r in result.pipe_results}


def test_the_seam_is_what_the_executor_looks_for() -> None:
    streams = Streams(Simulation())
    assert isinstance(streams, StreamStarter)
    assert isinstance(streams.start("a"), StreamHandle)


def test_consumers_are_ready_before_their_producers_start() -> None:
    """c is ready 2 s after its start has returned; b and x come then, and a when both are ready."""
    execution, streams = begin("a -> b -> c, a -> x -> c", {"b": Stream(ready_in=6)})
    assert streams.times == [("c", 0), ("b", 2), ("x", 3), ("a", 8)]
    assert list(execution.streaming_queries) == ["c", "b", "x", "a"]
    assert execution.result is None
    assert streams.simulation.now == 10


def test_streams_are_stopped_producers_first_each_drained_before() -> None:
    execution, streams = begin("a -> b -> c")
    del streams.story[:]
    result = execution.stop()
    assert streams.story == ["drain a", "stop a", "drain b", "stop b", "drain c", "stop c"]
    assert outcomes(result) == {"c": ("success", ""), "b": ("success", ""), "a": ("success", "")}
    assert result.all_succeeded
    assert execution.result is result
    assert set(result.streaming_queries) == {"a", "b", "c"}
    found = result.pipe_result("a")
    assert found is not None
    assert found.streaming_query is result.streaming_queries["a"]
    assert (found.attempts, found.duration_seconds) == (1, 2)


def test_stopping_twice_changes_nothing() -> None:
    execution, streams = begin("a")
    first = execution.stop()
    story = list(streams.story)
    assert execution.stop() is first
    assert streams.story == story


def test_leaving_the_block_stops_everything() -> None:
    execution, streams = begin("a -> b")
    with execution as running:
        assert running is execution
    assert streams.story[-4:] == ["drain a", "stop a", "drain b", "stop b"]
    assert execution.result is not None


def test_leaving_the_block_with_an_error_stops_everything_too() -> None:
    execution, streams = begin("a")
    with pytest.raises(ZeroDivisionError), execution:
        raise ZeroDivisionError
    assert streams.story[-2:] == ["drain a", "stop a"]


def test_an_empty_plan_has_ended_at_once() -> None:
    execution, _ = begin("")
    assert execution.await_termination()
    assert execution.result is not None
    assert execution.result.all_succeeded


def test_waiting_ends_with_the_time_or_with_the_streams() -> None:
    execution, streams = begin("a -> b", {"a": Stream(ends_in=10), "b": Stream(ends_in=30)})
    assert not execution.await_termination(timeout=5)
    assert not execution.await_termination(timeout=0)
    assert execution.await_termination(timeout=100)
    assert streams.simulation.now == 30
    assert "stop a" not in streams.story
    assert outcomes(execution.result) == {"b": ("success", ""), "a": ("success", "")}
    assert execution.await_termination()


def test_waiting_for_a_stopped_execution_is_over() -> None:
    execution, _ = begin("a")
    execution.stop()
    assert execution.await_termination()


def test_a_stream_that_fails_later_stops_the_others_in_order() -> None:
    error = ValueError("bad row")
    execution, streams = begin("a -> b -> c", {"b": Stream(fails_in=50, error=error)})
    del streams.story[:]
    with pytest.raises(StreamError) as raised:
        execution.await_termination()
    assert str(raised.value) == "stream 'b' failed, and all others were stopped: bad row"
    assert raised.value.__cause__ is error
    assert (raised.value.pipe_id, raised.value.result) == ("b", execution.result)
    assert streams.story == ["drain a", "stop a", "stop b", "drain c", "stop c"]
    stopped = ("success", "stopped: stream 'b' failed")
    assert outcomes(execution.result) == {"c": stopped, "b": ("failed", "bad row"), "a": stopped}
    assert execution.await_termination()


def test_a_stream_that_fails_before_it_is_ready_fails_the_run_at_once() -> None:
    """c runs, b fails 3 s after its start, a is never started."""
    error, streams = begin_in_vain("a -> b -> c", {"b": Stream(ready_in=10, fails_in=3)})
    assert str(error) == "stream 'b' failed, and all others were stopped: broken"
    assert error.__cause__ is None
    assert streams.story == ["start c", "start b", "stop b", "drain c", "stop c"]
    assert outcomes(error.result) == {
        "c": ("success", "stopped: stream 'b' failed"),
        "b": ("failed", "broken"),
        "a": ("not_run", "stream 'b' failed"),
    }
    assert streams.simulation.now == 5


def test_a_stream_that_cannot_be_started_fails_the_run() -> None:
    cause = OSError("no broker")
    error, streams = begin_in_vain("a -> b", {"b": Stream(start_error=cause)})
    assert error.__cause__ is cause
    assert streams.story == ["start b"]
    assert outcomes(error.result) == {
        "b": ("failed", "no broker"),
        "a": ("not_run", "stream 'b' failed"),
    }


def test_a_stream_that_is_not_ready_in_time_fails_the_run() -> None:
    error, streams = begin_in_vain("a -> b", {"b": Stream(ready_in=never)})
    assert str(error) == (
        "stream 'b' failed, and all others were stopped: stream 'b' was not ready within 20 s\n"
        "  Fix: check what it is waiting for, or increase its stream.ready_timeout."
    )
    assert isinstance(error.__cause__, PipeTimeoutError)
    assert streams.story == ["start b", "stop b"]
    assert streams.simulation.now == 20


def test_a_pipe_may_have_a_time_of_its_own_to_become_ready() -> None:
    tags = {"b": {"stream.ready_timeout": "3s"}}
    _, streams = begin_in_vain("a -> b", {"b": Stream(ready_in=never)}, tags)
    assert streams.simulation.now == 3


def test_a_start_that_never_returns_is_given_up_in_time() -> None:
    error, streams = begin_in_vain("a -> b -> c", {"b": Stream(starts_in=never)})
    assert outcomes(error.result)["b"][1].startswith("stream 'b' was not ready within 20 s")
    # Its handle was there after all when it was given up, so it is stopped as well.
    assert streams.story == ["start c", "start b", "stop b", "drain c", "stop c"]


def test_streams_that_run_are_watched_while_others_start() -> None:
    """c fails while b takes its time to start: nobody waits for b."""
    script = {"c": Stream(fails_in=4), "b": Stream(starts_in=15)}
    error, streams = begin_in_vain("a -> b -> c", script)
    assert error.pipe_id == "c"
    assert streams.simulation.now == 4
    assert outcomes(error.result)["a"] == ("not_run", "stream 'c' failed")


def test_streams_that_run_are_watched_while_others_become_ready() -> None:
    script = {"c": Stream(fails_in=6), "b": Stream(ready_in=15)}
    error, streams = begin_in_vain("a -> b -> c", script)
    assert error.pipe_id == "c"
    assert streams.simulation.now == 6


def test_a_stream_that_ends_before_it_is_ready_has_failed() -> None:
    error, _ = begin_in_vain("a", {"a": Stream(ready_in=9, ends_in=3)})
    assert outcomes(error.result) == {"a": ("failed", "the stream ended before it was ready")}


def test_a_stream_may_end_by_itself_before_all_are_started() -> None:
    execution, streams = begin("a -> b", {"b": Stream(ready_in=1, ends_in=2)})
    assert "stop b" not in streams.story
    assert outcomes(execution.stop()) == {"b": ("success", ""), "a": ("success", "")}
    assert "stop b" not in streams.story


def test_a_handle_that_cannot_be_asked_has_failed() -> None:
    lost = RuntimeError("lost")
    execution, _ = begin("a", {"a": Stream(fails_in=9, asked_error=lost)})
    with pytest.raises(StreamError) as raised:
        execution.await_termination()
    assert raised.value.__cause__ is lost


def test_a_handle_that_cannot_be_asked_at_the_end_has_failed() -> None:
    execution, _ = begin("a", {"a": Stream(asked_error=RuntimeError("lost"))})
    assert outcomes(execution.stop()) == {"a": ("failed", "lost")}


def test_what_is_no_handle_is_refused() -> None:
    class Odd(Streams):
        def start(self, pipe_id: str) -> Any:
            return 7

    sim = Simulation()
    executor = GenerationExecutor(Odd(sim), threads=sim.threads)
    with pytest.raises(StreamError) as raised:
        executor.execute_streaming(plan("a", "streaming"), OPTIONS)
    assert str(raised.value) == (
        "stream 'a' failed, and all others were stopped: start('a') returned an object of type "
        "int, not a StreamHandle\n"
        "  Fix: return an object with is_ready, is_active, error, drain and stop."
    )


def test_a_stream_that_cannot_be_drained_is_stopped_nevertheless() -> None:
    script = {
        "a": Stream(drain_error=RuntimeError("no")),
        "b": Stream(drains_in=never),
    }
    execution, streams = begin("a, b", script)
    result = execution.stop()
    assert streams.story[-4:] == ["drain b", "stop b", "drain a", "stop a"]
    assert outcomes(result) == {
        "a": ("success", "not drained: no"),
        "b": ("success", "not drained: draining 'b' took longer than 5 s"),
    }


def test_a_stream_that_cannot_be_stopped_has_failed_and_the_others_are_stopped() -> None:
    script = {"a": Stream(stop_error=RuntimeError("no")), "b": Stream(stops_in=never)}
    execution, streams = begin("a, b -> c", script)
    result = execution.stop()
    stops = ["drain b", "stop b", "drain c", "stop c", "drain a", "stop a"]
    assert streams.story[-6:] == stops
    assert outcomes(result) == {
        "a": ("failed", "no"),
        "b": ("failed", "stopping 'b' took longer than 5 s"),
        "c": ("success", ""),
    }
    assert result.failed_pipes == ("a", "b")


def test_a_stream_that_failed_unnoticed_is_found_when_all_are_stopped() -> None:
    execution, streams = begin("a", {"a": Stream(fails_in=50, error=TimeoutError())})
    streams.simulation.now = 60
    result = execution.stop()
    found = result.pipe_result("a")
    assert found is not None
    assert (found.status, found.error, found.error_type) == (
        PipeStatus.FAILED,
        "TimeoutError",
        "TimeoutError",
    )


def test_a_stream_may_say_what_it_did() -> None:
    """A report becomes that of the result; one that cannot be made is missed by nobody."""

    class Reporting(Handle):
        def report(self) -> Any:
            if self.pipe_id == "b":
                raise RuntimeError("no")
            return {"rows": [self.streams.simulation.now]}

    class Reporters(Streams):
        def start(self, pipe_id: str) -> Handle:
            return Reporting(self, pipe_id, Stream())

    streams = Reporters(Simulation())
    executor = GenerationExecutor(streams, threads=streams.simulation.threads)
    assert isinstance(streams.start("a"), ReportingStream)
    assert not isinstance(Streams(Simulation()).start("a"), ReportingStream)
    result = executor.execute_streaming(plan("a -> b", "streaming"), OPTIONS).stop()
    assert [(r.pipe_id, r.report) for r in result.pipe_results] == [
        ("b", None),
        ("a", {"rows": (4.0,)}),
    ]


def test_a_stream_may_have_a_time_of_its_own_to_drain() -> None:
    slow = {p: Stream(drains_in=50) for p in "ab"}
    execution, _ = begin("a -> b", slow, {"a": {"stream.drain_timeout": "1m"}})
    assert outcomes(execution.stop()) == {
        "a": ("success", ""),
        "b": ("success", "not drained: draining 'b' took longer than 5 s"),
    }


def test_a_stop_that_is_interrupted_goes_on_when_it_is_called_again() -> None:
    execution, streams = begin("a -> b -> c")
    del streams.story[:]
    with interrupted_once(pipe_completed), pytest.raises(KeyboardInterrupt):
        execution.stop()
    assert execution.result is None
    result = execution.stop()
    assert streams.story == ["drain a", "stop a", "drain b", "stop b", "drain c", "stop c"]
    assert result.all_succeeded


def test_the_story_of_streams_is_told_in_its_order() -> None:
    with listening() as heard:
        execution, _ = begin("a -> b")
        execution.stop()
    assert [" ".join(filter(None, (n, said.get("pipe_id")))) for n, said in heard] == [
        "execution_started",
        "generation_started",
        "pipe_started b",
        "generation_completed",
        "generation_started",
        "pipe_started a",
        "generation_completed",
        "pipe_completed a",
        "pipe_completed b",
        "execution_completed",
    ]
    ready = heard[3][1]["result"]
    assert [r.status for r in ready.pipe_results] == [PipeStatus.RUNNING]
    assert heard[-1][1]["result"] is execution.result
    assert heard[2][1]["generation_number"] == 0


def test_failed_streams_tell_of_every_pipe() -> None:
    error = ValueError("bad row")
    with listening() as heard:
        begin_in_vain("a -> b -> c", {"b": Stream(ready_in=10, fails_in=3, error=error)})
    told = [" ".join(filter(None, (n, said.get("pipe_id")))) for n, said in heard]
    assert told == [
        "execution_started",
        "generation_started",
        "pipe_started c",
        "generation_completed",
        "generation_started",
        "pipe_started b",
        "pipe_failed b",
        "pipe_completed c",
        "pipe_skipped a",
        "generation_failed",
        "execution_failed",
    ]
    assert heard[6][1]["exception"] is error


def test_streams_that_do_not_become_ready_fail_their_generation_when_all_were_stopped() -> None:
    """b fails after 3 s, while x is still starting; y never begins; stopping x takes 4 s."""
    script = {"b": Stream(fails_in=3, ready_in=9), "x": Stream(starts_in=8, stops_in=4)}
    with listening("generation_started", "generation_failed") as heard:
        error, _ = begin_in_vain("a -> b, a -> x, a -> y", script)
    (_, started), (name, failed) = heard
    assert name == "generation_failed"
    assert failed["generation"] is started["generation"]
    found = failed["result"]
    assert isinstance(error.result, ExecutionResult)
    assert found == error.result.generation_results[0]
    assert found.duration_seconds == 3 + 4
    assert [(r.pipe_id, r.status.value, r.error or r.reason) for r in found.pipe_results] == [
        ("b", "failed", "broken"),
        ("x", "success", "stopped: stream 'b' failed"),
        ("y", "not_run", "stream 'b' failed"),
    ]


def test_a_generation_whose_streams_were_stopped_before_they_were_ready_has_failed() -> None:
    """c, which is ready, fails; b of the next generation is stopped in good order."""
    with listening("generation_completed", "generation_failed") as heard:
        begin_in_vain("a -> b -> c", {"c": Stream(fails_in=6), "b": Stream(ready_in=15)})
    assert [(n, said["generation"].number) for n, said in heard] == [
        ("generation_completed", 0),
        ("generation_failed", 1),
    ]
    assert [r.status for r in heard[1][1]["result"].pipe_results] == [PipeStatus.SUCCESS]
    assert heard[1][1]["result"].duration_seconds == 4


def test_a_generation_that_was_ready_does_not_fail_later() -> None:
    execution, _ = begin("a", {"a": Stream(fails_in=9)})
    with listening("generation_failed", "pipe_failed") as heard, pytest.raises(StreamError):
        execution.await_termination()
    assert [name for name, _ in heard] == ["pipe_failed"]


def test_generations_without_pipes_are_not_announced() -> None:
    drawn = plan("a", "streaming")
    kind = type(drawn.generations[0])
    found = ExecutionPlan(
        drawn.pipe_ids, [kind(0, []), kind(1, ["a"])], drawn.graph, "streaming", drawn.metadata
    )
    sim = Simulation()
    executor = GenerationExecutor(Streams(sim), threads=sim.threads)
    with listening("generation_started", "generation_completed") as heard:
        executor.execute_streaming(found, OPTIONS).stop()
    assert [said["generation"].number for _, said in heard] == [1, 1]


@pytest.mark.parametrize("name", ["generation_completed", "pipe_started"])
def test_an_interrupt_while_streams_start_stops_them(name: str) -> None:
    raising = {name: KeyboardInterrupt()}
    with listening(raising=raising) as heard, pytest.raises(ExecutionInterrupted) as raised:
        begin("a -> b")
    ends = {"generation_completed": "generation_completed", "pipe_started": "generation_failed"}
    assert [n for n, _ in heard if n in ends.values()] == [ends[name]]
    found = outcomes(raised.value.result)
    assert found["a"] == ("not_run", "the execution was interrupted")
    expected = {
        "generation_completed": ("success", "stopped: the execution was interrupted"),
        "pipe_started": ("failed", "stopped while starting: the execution was interrupted"),
    }
    assert found["b"] == expected[name]


def test_an_interrupt_while_streams_are_stopped_leaves_out_drains_but_no_stream() -> None:
    """Nobody else could stop them: the caller has got nothing to do it with.

    The first one comes when c is about to start, the second one when b has been stopped.
    """
    streams = Streams(Simulation())
    executor = GenerationExecutor(streams, threads=streams.simulation.threads)
    third_start = iter([None, None, KeyboardInterrupt()])

    def interrupt(_sender: Any, **_: Any) -> None:
        error = next(third_start)
        if error is not None:
            raise error

    with (
        pipe_started.connected_to(interrupt),
        interrupted_once(pipe_completed),
        pytest.raises(ExecutionInterrupted) as raised,
    ):
        executor.execute_streaming(plan("c -> b -> a", "streaming"), OPTIONS)
    assert streams.story == ["start a", "start b", "drain b", "stop b", "stop a"]
    assert outcomes(raised.value.result) == {
        "a": (
            "success",
            "stopped: the execution was interrupted; not drained: interrupted again",
        ),
        "b": ("success", "stopped: the execution was interrupted"),
        "c": ("failed", "stopped while starting: the execution was interrupted"),
    }


def test_an_interrupt_while_streams_are_stopped_because_one_failed_leaves_none_running() -> None:
    """b fails; the interrupt comes when that is told."""
    streams = Streams(Simulation(), {"b": Stream(ready_in=10, fails_in=3)})
    executor = GenerationExecutor(streams, threads=streams.simulation.threads)
    with interrupted_once(pipe_failed), pytest.raises(ExecutionInterrupted) as raised:
        executor.execute_streaming(plan("a -> b -> c", "streaming"), OPTIONS)
    assert streams.story == ["start c", "start b", "stop b", "drain c", "stop c"]
    assert outcomes(raised.value.result) == {
        "c": ("success", "stopped: the execution was interrupted"),
        "b": ("failed", "broken"),
        "a": ("not_run", "the execution was interrupted"),
    }


def test_an_exit_while_streams_start_stops_them() -> None:
    leave = SystemExit(3)
    raising = {"generation_completed": leave}
    with listening(raising=raising) as heard, pytest.raises(SystemExit) as raised:
        begin("a -> b")
    assert raised.value is leave
    assert heard[-1][0] == "execution_failed"


def test_plans_for_batch_and_runners_without_start_are_refused_together() -> None:
    with pytest.raises(ExecutionError) as refused:
        GenerationExecutor(print).execute_streaming(plan("a"))
    assert str(refused.value) == (
        "2 problems in the execution's settings:\n"
        "1. a plan of strategy 'batch' cannot be started as streams: its order is forward, so "
        "consumers would not be ready before their producers\n"
        "  Fix: create a streaming plan for these pipes, or run them with execute_batch().\n"
        "2. the pipe runner cannot start streams\n"
        "  Fix: give it a method start(pipe_id) that returns a StreamHandle."
    )
    with pytest.raises(ExecutionError, match=r"^a plan of strategy 'batch' cannot be started"):
        GenerationExecutor(Streams(Simulation())).execute_streaming(plan("a"))


class RealHandle:
    """A stream of real threads: ends when it is stopped."""

    def __init__(self) -> None:
        self.gone = threading.Event()

    def is_ready(self) -> bool:
        return True

    def is_active(self) -> bool:
        return not self.gone.is_set()

    def error(self) -> None: ...

    def drain(self) -> None: ...

    def stop(self) -> None:
        self.gone.set()


def real(start: Callable[[str], RealHandle], **options: float) -> StreamingExecution:
    class Starter:
        def __call__(self, pipe_id: str) -> None: ...

        def start(self, pipe_id: str) -> RealHandle:
            return start(pipe_id)

    options = {"poll_seconds": 0.01, **options}
    return GenerationExecutor(Starter()).execute_streaming(plan("a -> b", "streaming"), options)


def test_one_thread_may_wait_while_another_stops() -> None:
    execution = real(lambda pipe_id: RealHandle())
    ended: list[bool] = []
    waiter = threading.Thread(target=lambda: ended.append(execution.await_termination()))
    waiter.start()
    execution.stop()
    waiter.join(PATIENCE)
    assert ended == [True]


class StubbornHandle(RealHandle):
    """A stream that complains when it is stopped."""

    def stop(self) -> None:
        super().stop()
        raise RuntimeError("no")


@pytest.mark.parametrize("kind", [RealHandle, StubbornHandle])
def test_a_stream_that_comes_too_late_is_stopped(kind: type[RealHandle]) -> None:
    """Its start was given up; what it brings in the end must not run unseen for ever."""
    go_on, late = threading.Event(), kind()

    def start(pipe_id: str) -> RealHandle:
        assert go_on.wait(PATIENCE)
        return late

    with pytest.raises(StreamError, match=r"was not ready within 0\.05 s"):
        real(start, ready_timeout=0.05)
    assert not late.gone.is_set()
    go_on.set()
    assert late.gone.wait(PATIENCE)
