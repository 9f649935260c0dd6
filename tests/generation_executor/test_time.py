"""Retries and time limits, in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.errors import PipeTimeoutError
from kindling_airflow.generation_executor import (
    ExecutionInterrupted,
    ExecutionResult,
    GenerationExecutor,
    PipeResult,
    PipeStatus,
)
from tests.builders import plan
from tests.generation_executor.simulation import (
    Does,
    Pipes,
    Simulation,
    Span,
    busy,
    fails,
    listening,
    never,
)


class _Provider:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def get_logger(self, name: str) -> _Provider:
        return self

    def warning(self, text: str) -> None:
        self.lines.append(text)

    def error(self, text: str) -> None:
        self.lines.append(text.splitlines()[0])


class CancellablePipes(Pipes):
    """A runner whose hanging tries end so many seconds after they were asked to (None: never)."""

    def __init__(self, sim: Simulation, script: Any, ends_after: float | None = 0.0) -> None:
        super().__init__(sim, script)
        self.ends_after = ends_after
        self.cancelled: list[tuple[str, float]] = []
        self.takes_to_cancel = 0.0
        self.cancel_error: BaseException | None = None

    def cancel(self, pipe_id: str) -> None:
        self.cancelled.append((pipe_id, self.simulation.now))
        self.simulation.takes(self.takes_to_cancel)
        if self.cancel_error is not None:
            raise self.cancel_error
        if self.ends_after is not None:
            self.simulation.let_go(f"kindling-{pipe_id}", self.ends_after)


def run(
    pipes: Pipes, drawing: str = "a", logs: _Provider | None = None, **options: Any
) -> ExecutionResult:
    executor = GenerationExecutor(
        pipes, threads=pipes.simulation.threads, logger_provider=logs, new_run_id=lambda: "run"
    )
    return executor.execute(plan(drawing, tags=options.pop("tags", None)), **options)


def only(result: ExecutionResult) -> PipeResult:
    (found,) = result.pipe_results
    return found


def test_without_retries_one_failure_is_enough() -> None:
    pipes = Pipes(Simulation(), {"a": Does(1, fails())})
    assert only(run(pipes)).attempts == 1
    assert len(pipes.spans) == 1


def test_a_failed_pipe_is_tried_again_after_the_interval() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(2, fails("1st")), Does(2, fails("2nd")), Does(1)]})
    result = run(pipes, retry_attempts=2, retry_interval_seconds=10)
    assert pipes.spans == [Span("a", 0, 2), Span("a", 12, 14), Span("a", 24, 25)]
    assert only(result) == PipeResult("a", PipeStatus.SUCCESS, 25, attempts=3)


def test_when_all_tries_have_failed_the_last_error_is_told() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(1, fails("1st")), Does(1, fails("2nd"))]})
    result = run(pipes, retry_attempts=1, retry_interval_seconds=0)
    assert only(result) == PipeResult(
        "a", PipeStatus.FAILED, 2, error="2nd", error_type="ValueError", attempts=2
    )


def test_thirty_seconds_is_the_interval_when_none_is_given() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(1, fails()), Does(1)]})
    run(pipes, retry_attempts=1)
    assert pipes.spans[1].start == 31


@pytest.mark.parametrize(
    "outcome", [SystemExit(1), {"status": "failed", "extra": {"permanent": 1}}]
)
def test_a_failure_that_will_not_go_away_is_not_tried_again(outcome: Any) -> None:
    pipes = Pipes(Simulation(), {"a": Does(1, outcome)})
    result = only(run(pipes, retry_attempts=3))
    assert result.attempts == 1
    assert result.reason == "not retried: the failure is permanent"


def test_a_pipe_that_waits_for_its_next_try_leaves_its_slot_to_others() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(1, fails()), Does(1)], "b": Does(4), "c": Does(4)})
    run(pipes, "a, b, c", parallel=True, max_workers=1, retry_attempts=1, retry_interval_seconds=2)
    assert pipes.spans == [Span("a", 0, 1), Span("b", 1, 5), Span("a", 5, 6), Span("c", 6, 10)]


def test_one_after_the_other_means_with_all_its_tries() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(1, fails()), Does(1)]})
    run(pipes, "a, b", retry_attempts=1, retry_interval_seconds=5)
    assert pipes.spans == [Span("a", 0, 1), Span("a", 6, 7), Span("b", 7, 8)]


def test_a_due_try_comes_before_pipes_that_have_not_begun() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(1, fails()), Does(1)]})
    run(pipes, "a, b, c", parallel=True, max_workers=1, retry_attempts=1, retry_interval_seconds=1)
    assert pipes.started == ["a", "b", "a", "c"]


def test_waits_between_tries_grow_up_to_their_limit() -> None:
    pipes = Pipes(Simulation(), {"a": [Does(1, fails()), Does(1, fails()), Does(1, fails())]})
    growing = {"retry.attempts": 3, "retry.interval_seconds": 10, "retry.backoff": 2}
    with listening("pipe_retrying") as heard:
        run(pipes, overrides={"a": {**growing, "retry.max_interval_seconds": 30}})
    assert [said["wait_seconds"] for _, said in heard] == [10, 20, 30]
    assert pipes.spans == [Span("a", 0, 1), Span("a", 11, 12), Span("a", 32, 33), Span("a", 63, 64)]


def test_tries_that_are_due_at_once_come_in_the_order_of_their_failures() -> None:
    again = [Does(1, fails()), Does(1)]
    pipes = Pipes(Simulation(), {"b": again, "a": again})
    run(pipes, "b, a", parallel=True, retry_attempts=1, retry_interval_seconds=5)
    assert pipes.spans[2:] == [Span("b", 6, 7), Span("a", 6, 7)]


def test_fail_fast_tries_nothing_again_once_a_pipe_has_failed() -> None:
    """a waits for its next try when b fails for good; c still runs, and fails later."""
    script = {"a": Does(1, fails("a")), "b": Does(3, SystemExit("b")), "c": Does(9, fails("c"))}
    pipes = Pipes(Simulation(), script)
    with listening("pipe_retrying") as heard:
        result = run(
            pipes, "a, b, c, d", parallel=True, max_workers=3, error_strategy="fail_fast",
            retry_attempts=2, overrides={"d": {"retry.attempts": 0}},
        )  # fmt: skip
    assert pipes.started == ["a", "b", "c", "d"]  # d has the slot that a left
    assert [said["pipe_id"] for _, said in heard] == ["a"]
    stopped = "not retried: pipe 'b' failed (fail_fast)"
    found = {r.pipe_id: (r.status.value, r.error, r.reason) for r in result.pipe_results}
    assert found == {
        "a": ("failed", "a", stopped),
        "b": ("failed", "b", "not retried: the failure is permanent"),
        "c": ("failed", "c", stopped),
        "d": ("success", None, ""),
    }


def test_a_pipe_out_of_time_is_left_behind_and_the_others_go_on() -> None:
    """a never returns. At 5 its slot is free, and b and c run as if it had failed by itself."""
    pipes = Pipes(Simulation(), {"a": Does(never)})
    result = run(pipes, "a, b, c, a -> d", pipe_timeout=5)
    assert pipes.spans == [Span("a", 0, never), Span("b", 5, 6), Span("c", 6, 7)]
    left = result.pipe_results[0]
    assert left == PipeResult(
        "a",
        PipeStatus.FAILED,
        5,
        error="pipe 'a' did not end within 5 s\n"
        "  Fix: check what it is waiting for, or increase its timeout_seconds.",
        error_type="PipeTimeoutError",
        attempts=1,
    )
    assert left.timed_out
    assert not result.pipe_results[1].timed_out
    assert result.pipe_results[3].reason == "upstream pipe 'a' failed"


def test_a_pipe_that_ends_at_the_last_moment_has_ended() -> None:
    pipes = Pipes(Simulation(), {"a": Does(5)})
    assert only(run(pipes, pipe_timeout=5)).status is PipeStatus.SUCCESS


def test_only_those_out_of_time_are_left_behind() -> None:
    pipes = Pipes(Simulation(), {"a": Does(never), "b": Does(8), "c": Does(never), "d": Does(20)})
    tags = {"a": {"timeout_seconds": 5}, "d": {"timeout_seconds": None}}
    result = run(pipes, "a, b, c, d", tags=tags, parallel=True, pipe_timeout=10)
    assert [(r.duration_seconds, r.timed_out) for r in result.pipe_results] == [
        (5, True),
        (8, False),
        (10, True),
        (20, False),
    ]


def test_a_time_limit_holds_while_other_pipes_keep_the_executing_thread_busy() -> None:
    """Two pipes that end every second beside a, and telling takes two: a message is always there.

    The clock is looked at when it shows 1, 3 and 5.
    """
    sim = Simulation()
    pipes = Pipes(sim, {"a": Does(never)})
    drawing = ", ".join(["a", *(f"b{n}" for n in range(20))])
    with busy(sim, 2, "pipe_completed"):
        result = run(pipes, drawing, parallel=True, max_workers=3, pipe_timeout=4)
    assert result.failed_pipes == ("a",)
    assert result.pipe_results[0].duration_seconds == 5
    assert result.duration_seconds == 41


def test_the_grace_of_an_old_try_holds_while_other_pipes_keep_the_executing_thread_busy() -> None:
    """It is out of time at 5, is to be tried again at 6, and must have ended by 16."""
    sim = Simulation()
    drawing = ", ".join(["a", *(f"b{n}" for n in range(20))])
    retries = {"retry_interval_seconds": 1, "overrides": {"a": {"retry.attempts": 1}}}
    with busy(sim, 1.5, "pipe_completed"):
        result = run(
            Pipes(sim, {"a": Does(never)}), drawing,
            parallel=True, max_workers=3, pipe_timeout=5, **retries,
        )  # fmt: skip
    left = result.pipe_results[0]
    assert left.reason == "not retried: attempt 1 timed out and has not ended"
    assert 5 + 1 + 10 <= left.duration_seconds <= 5 + 1 + 10 + 2 * 1.5
    assert result.duration_seconds > 30


def test_a_pipe_that_ended_in_time_has_ended_however_late_that_is_read() -> None:
    """c and d end at 1, b at 4; telling of c takes until 11, when the limit of b is over."""
    sim = Simulation()
    pipes = CancellablePipes(sim, {"b": Does(4)})
    with busy(sim, 10, "pipe_completed"):
        result = run(pipes, "b, c, d", parallel=True, pipe_timeout=5)
    assert result.all_succeeded
    assert result.duration_seconds == 31
    assert pipes.cancelled == []


def test_an_old_try_that_ended_in_its_grace_has_ended_however_late_that_is_read() -> None:
    """a is out of time at 5 and has ended at 8; telling of b takes from 7 until 57."""
    sim = Simulation()
    script = {"a": [Does(never), Does(1)], "b": Does(7), "c": Does(7)}
    pipes = CancellablePipes(sim, script, ends_after=3)
    tags = {"b": {"timeout_seconds": None}, "c": {"timeout_seconds": None}}
    with busy(sim, 50, "pipe_completed"):
        result = run(
            pipes, "a, b, c", tags=tags, parallel=True, pipe_timeout=5,
            retry_attempts=1, retry_interval_seconds=1,
        )  # fmt: skip
    assert result.all_succeeded
    assert [span.start for span in pipes.spans if span.pipe_id == "a"] == [0, 107]


def test_an_old_try_of_which_only_the_cancellation_goes_on_is_waited_for_in_vain_but_once() -> None:
    """a is out of time at 5, its try has ended at 6, asking it to end never does.

    That the try has ended is known at 16, because b is out of time then; at 20 its grace is over.
    """
    sim = Simulation()
    script = {"a": Does(never), "b": Does(never), "c": Does(6), "d": Does(6)}
    pipes = CancellablePipes(sim, script, ends_after=1)
    pipes.takes_to_cancel = never
    overrides: dict[str, Any] = {"a": {"retry.attempts": 1, "timeout_seconds": 5}}
    with busy(sim, 10, "pipe_completed"):
        result = run(
            pipes, "a, b, c, d", parallel=True, pipe_timeout=7,
            retry_interval_seconds=5, overrides=overrides,
        )  # fmt: skip
    assert [r.duration_seconds for r in result.pipe_results] == [26, 16, 6, 16]
    left = result.pipe_results[0]
    assert left.reason == "not retried: attempt 1 timed out and has not ended"


def test_the_runner_is_asked_to_cancel_what_is_out_of_time() -> None:
    pipes = CancellablePipes(Simulation(), {"a": Does(never)})
    logs = _Provider()
    with listening("pipe_failed") as heard:
        result = run(pipes, "a, b", logs, pipe_timeout=5)
    assert pipes.cancelled == [("a", 5)]
    assert result.pipe_results[0].timed_out
    assert isinstance(heard[0][1]["exception"], PipeTimeoutError)
    assert logs.lines[1:] == [
        "pipe 'a': attempt 1, which had timed out, has ended (success); its outcome is ignored"
    ]


@pytest.mark.parametrize("error", [RuntimeError("gone"), SystemExit(1)])
def test_a_runner_that_cannot_cancel_is_logged_and_no_more(error: BaseException) -> None:
    pipes = CancellablePipes(Simulation(), {"a": Does(never)})
    pipes.cancel_error = error
    logs = _Provider()
    result = run(pipes, "a, b", logs, pipe_timeout=5)
    assert [r.status.value for r in result.pipe_results] == ["failed", "success"]
    assert logs.lines[1:] == ["pipe 'a' cannot be cancelled"]


def test_a_cancelled_try_is_followed_by_the_next_after_the_interval() -> None:
    pipes = CancellablePipes(Simulation(), {"a": [Does(never), Does(1)]}, ends_after=2)
    with listening("pipe_retrying") as heard:
        result = run(pipes, pipe_timeout=5, retry_attempts=1, retry_interval_seconds=10)
    assert [span.start for span in pipes.spans] == [0, 15]
    assert only(result) == PipeResult("a", PipeStatus.SUCCESS, 16, attempts=2)
    assert heard[0][1]["error"] == (
        "pipe 'a' did not end within 5 s (attempt 1 of 2)\n"
        "  Fix: check what it is waiting for, or increase its timeout_seconds."
    )


def test_a_pipe_is_not_tried_again_while_its_old_try_runs() -> None:
    """It ends 4 s after the interval is over, so the next try starts then, at 5 + 3 + 4."""
    pipes = CancellablePipes(Simulation(), {"a": [Does(never), Does(1)]}, ends_after=7)
    run(pipes, pipe_timeout=5, retry_attempts=1, retry_interval_seconds=3)
    assert [span.start for span in pipes.spans] == [0, 12]


def test_a_pipe_is_not_tried_again_while_it_is_being_cancelled() -> None:
    """The cancellation, which knows the pipe alone, would else hit the next try."""
    pipes = CancellablePipes(Simulation(), {"a": [Does(never), Does(1)]}, ends_after=0)
    pipes.takes_to_cancel = 6
    run(pipes, pipe_timeout=5, retry_attempts=1, retry_interval_seconds=0)
    assert [span.start for span in pipes.spans] == [0, 11]


def test_a_try_that_never_ends_is_the_last_one() -> None:
    """After the interval it has ten seconds more."""
    pipes = Pipes(Simulation(), {"a": Does(never)})
    result = run(pipes, "a, b", pipe_timeout=5, retry_attempts=3, retry_interval_seconds=20)
    left, other = result.pipe_results
    assert (left.status, left.attempts, left.duration_seconds) == (PipeStatus.FAILED, 1, 35)
    assert left.timed_out
    assert left.reason == "not retried: attempt 1 timed out and has not ended"
    assert other.status is PipeStatus.SUCCESS


def test_a_try_that_ends_long_after_its_pipe_was_given_up_changes_nothing() -> None:
    pipes = Pipes(Simulation(), {"a": Does(50), "b": Does(100)})
    logs = _Provider()
    result = run(pipes, "a, b", logs, pipe_timeout=5, overrides={"b": {"timeout_seconds": 200}})
    assert [r.status.value for r in result.pipe_results] == ["failed", "success"]
    assert logs.lines[1:] == [
        "pipe 'a': attempt 1, which had timed out, has ended (success); its outcome is ignored"
    ]


def test_fail_fast_does_not_wait_for_a_pipe_that_waits_for_its_old_try() -> None:
    script = {"a": Does(never), "b": Does(6, SystemExit("b"))}
    result = run(
        Pipes(Simulation(), script), "a, b", parallel=True, error_strategy="fail_fast",
        retry_attempts=1, overrides={"a": {"timeout_seconds": 5}},
    )  # fmt: skip
    assert result.duration_seconds == 6
    assert result.pipe_results[0].reason == "not retried: pipe 'b' failed (fail_fast)"


def test_an_interrupt_cancels_what_runs_and_waits_for_nothing() -> None:
    """a runs, b waits for its next try, c for its old try to end, when d is done at 3."""
    script = {"a": Does(never), "b": Does(1, fails("b")), "c": Does(never), "d": Does(3)}
    pipes = CancellablePipes(Simulation(), script, ends_after=None)
    raising = {"pipe_completed": KeyboardInterrupt()}
    with listening(raising=raising), pytest.raises(ExecutionInterrupted) as raised:
        run(
            pipes, "a, b, c, d", parallel=True, retry_attempts=1,
            overrides={"c": {"timeout_seconds": 2}},
        )  # fmt: skip
    result = raised.value.result
    assert result.duration_seconds == 3
    assert pipes.cancelled == [("c", 2), ("a", 3)]
    found = {r.pipe_id: (r.status.value, r.error_type, r.reason) for r in result.pipe_results}
    waited = "not retried: the execution was interrupted"
    assert found == {
        "a": ("failed", "KeyboardInterrupt", ""),
        "b": ("failed", "ValueError", waited),
        "c": ("failed", "PipeTimeoutError", waited),
        "d": ("success", None, ""),
    }
