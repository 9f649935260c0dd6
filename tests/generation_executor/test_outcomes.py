"""What a runner may return, and what that means."""

from __future__ import annotations

import enum
import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.generation_executor import GenerationExecutor, PipeSkipped, Skipped
from kindling_airflow.generation_executor.results import PipeStatus
from kindling_airflow.generation_executor.runners import Outcome, outcome_of, run_attempt
from kindling_airflow.protocol.contracts import RunFailure, RunReport
from tests.builders import plan

STATUSES = "  Fix: use one of published, success, succeeded, skipped, failed."


@dataclass
class _Table:
    """Like a table with a column of the name ``status``."""

    status: object


class _Word(enum.Enum):
    GOOD = "success"


@pytest.mark.parametrize("returned", [None, True, 0, 17, [], {}, {"rows": 3}, object(), _Table(7)])
def test_whatever_says_nothing_of_a_status_is_success(returned: Any) -> None:
    assert outcome_of(returned).status is PipeStatus.SUCCESS


@pytest.mark.parametrize("word", ["published", "success", "succeeded", "SUCCESS"])
def test_good_statuses_are_success_wherever_they_stand(word: str) -> None:
    for returned in (word, {"status": word}, _Table(word)):
        assert outcome_of(returned).status is PipeStatus.SUCCESS


def test_a_status_may_be_an_enum() -> None:
    assert outcome_of(_Table(_Word.GOOD)).status is PipeStatus.SUCCESS
    assert outcome_of(PipeStatus.SKIPPED).status is PipeStatus.SKIPPED


def test_a_mapping_is_kept_as_the_report_and_cannot_change_any_more() -> None:
    said = {"rows": [1, 2]}
    report = outcome_of(said).report
    said["rows"].append(3)
    assert report == {"rows": (1, 2)}
    assert type(report) is FrozenDict


@pytest.mark.parametrize(
    "returned",
    [
        Skipped("nothing new"),
        {"status": "skipped", "reason": "nothing new"},
        RunReport("key", "a", "skipped", reason="nothing new"),
    ],
)
def test_skipped_has_a_reason(returned: Any) -> None:
    outcome = outcome_of(returned)
    assert (outcome.status, outcome.reason) == (PipeStatus.SKIPPED, "nothing new")


def test_raising_pipe_skipped_is_skipping() -> None:
    def run_pipe(pipe_id: str) -> None:
        raise PipeSkipped(f"{pipe_id} has nothing to do")

    assert run_attempt(run_pipe, "a") == Outcome(PipeStatus.SKIPPED, reason="a has nothing to do")


def test_a_report_of_a_failure_is_a_failure() -> None:
    report = RunReport("key", "a", "failed", error=RunFailure("ValueError", "no", "trace"))
    assert outcome_of(report) == Outcome(
        PipeStatus.FAILED, error="no", error_type="ValueError", report=report
    )


def test_a_report_says_whether_trying_again_can_help() -> None:
    permanent = RunReport("key", "a", "failed", extra=FrozenDict(permanent=True))
    assert outcome_of(permanent).permanent
    assert not outcome_of({"status": "failed", "extra": {"permanent": False}}).permanent


@pytest.mark.parametrize(
    ("returned", "error", "kind"),
    [
        (False, "the runner returned False", "PipeRunError"),
        ("failed", "the runner reported a failure without a reason", "PipeRunError"),
        ({"status": "failed", "reason": "full"}, "full", "PipeRunError"),
        ({"status": "failed", "error": "full"}, "full", "PipeRunError"),
        (
            {"status": "failed", "error": "full", "error_type": "OSError"},
            "full",
            "OSError",
        ),
        (
            {"status": "failed", "error": {"type": "OSError", "message": "full"}},
            "full",
            "OSError",
        ),
        (
            "done",
            f"the runner reported an unknown status: 'done'\n{STATUSES}",
            "PipeRunError",
        ),
        (
            {"status": 200},
            f"the runner reported an unknown status: 200\n{STATUSES}",
            "PipeRunError",
        ),
    ],
)
def test_failures_say_why(returned: Any, error: str, kind: str) -> None:
    outcome = outcome_of(returned)
    assert (outcome.status, outcome.error, outcome.error_type) == (PipeStatus.FAILED, error, kind)


def test_a_coroutine_that_nobody_awaits_is_no_success() -> None:
    async def run_pipe(pipe_id: str) -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is closed, so nobody is warned of it either
        outcome = run_attempt(run_pipe, "a")
    assert outcome.status is PipeStatus.FAILED
    assert outcome.error == (
        "the runner returned an awaitable that was not awaited\n"
        "  Fix: run it, for example with asyncio.run(...), and return its result."
    )


def test_any_awaitable_is_no_success() -> None:
    class Later:
        def __await__(self) -> Any: ...

    assert outcome_of(Later()).status is PipeStatus.FAILED


def test_a_future_that_nobody_waits_for_is_no_success() -> None:
    """A pool's submit returns at once; whether the pipe works is not known then."""
    outcome = outcome_of(Future())
    assert (outcome.status, outcome.error) == (
        PipeStatus.FAILED,
        "the runner returned a Future instead of its result\n  Fix: return its result().",
    )


def test_a_generator_that_nobody_runs_is_no_success() -> None:
    """A runner with a yield in it does nothing when it is called."""

    def run_pipe(pipe_id: str) -> Any:
        yield pipe_id

    async def run_pipe_later(pipe_id: str) -> Any:
        yield pipe_id

    for runner in (run_pipe, run_pipe_later):
        outcome = run_attempt(runner, "a")
        assert outcome.status is PipeStatus.FAILED
        assert outcome.error == (
            "the runner returned a generator that was not consumed\n"
            "  Fix: remove yield, or consume the generator."
        )


def test_a_plan_in_a_plan_is_as_good_as_its_pipes() -> None:
    well = GenerationExecutor(lambda _: None).execute(plan("a -> b"))
    assert outcome_of(well) == Outcome(PipeStatus.SUCCESS)
    ill = GenerationExecutor(lambda _: False).execute(plan("a -> b"), run_id="inner")
    outcome = outcome_of(ill)
    assert (outcome.status, outcome.error_type) == (PipeStatus.FAILED, "PipeRunError")
    assert outcome.error == (
        "run 'inner': 2 of 2 pipes did not succeed\n"
        "  'a' failed: the runner returned False\n"
        "  'b' not run: upstream pipe 'a' failed"
    )
    assert not outcome.permanent


def test_an_exception_is_a_failure_that_may_be_tried_again() -> None:
    error = KeyError("a")

    def run_pipe(pipe_id: str) -> None:
        raise error

    assert run_attempt(run_pipe, "a") == Outcome(
        PipeStatus.FAILED, error="'a'", error_type="KeyError", exception=error
    )


def test_an_exception_without_a_text_is_named() -> None:
    assert Outcome.raised(TimeoutError()).error == "TimeoutError"


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt()])
def test_a_pipe_that_ends_the_process_only_fails_and_is_not_tried_again(
    end: BaseException,
) -> None:
    def run_pipe(pipe_id: str) -> None:
        raise end

    outcome = run_attempt(run_pipe, "a")
    assert (outcome.status, outcome.permanent) == (PipeStatus.FAILED, True)


def test_a_status_that_cannot_be_read_is_a_failure() -> None:
    class Broken:
        @property
        def status(self) -> str:
            raise RuntimeError("lost")

    assert run_attempt(lambda _: Broken(), "a").error == "lost"
