"""Calls in processes of their own, forked and fresh: every way in which one can end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.common.child.calls import Call, Outcome, in_children
from kindling_airflow.common.child.serving import answer_of

PLENTY = 120.0  # seconds: never reached


def call(name: str, seconds: float | None = PLENTY, **arguments: Any) -> Call:
    return Call(f"tests.common.called_in_children:{name}", arguments, seconds)


@pytest.fixture(params=[True, False], ids=["forked", "fresh"])
def untouched(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def outcome(one: Call, untouched: bool) -> Outcome:
    (found,) = in_children([one], is_untouched=untouched)
    return found


def test_answers_come_in_the_order_of_the_calls(untouched: bool) -> None:
    calls = [call("back", value=value) for value in (1, "zwei", None, [3], {"four": 4})]
    found = in_children(calls, is_untouched=untouched, slots=2)
    assert [one.answer for one in found] == [1, "zwei", None, [3], {"four": 4}]
    assert {one.failure for one in found} == {""}


def test_each_is_in_a_process_of_its_own(untouched: bool) -> None:
    found = in_children([call("process")] * 3, is_untouched=untouched)
    assert len({one.answer for one in found} | {os.getpid()}) == 4


def test_a_fork_has_what_is_imported_here_and_a_fresh_one_has_not() -> None:
    assert "pytest" in outcome(call("modules"), True).answer
    assert "pytest" not in outcome(call("modules"), False).answer


def test_where_threads_run_the_process_is_a_fresh_one() -> None:
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert "pytest" not in outcome(call("modules"), True).answer
    finally:
        end.set()
        thread.join()


def test_a_process_may_have_no_standard_streams(untouched: bool) -> None:
    kept = [(number, os.dup(number)) for number in (0, 1, 2)]
    for number, _ in kept:
        os.close(number)
    try:
        found = outcome(call("say", text="good day"), untouched)
    finally:
        for number, copy in kept:
            os.dup2(copy, number)
            os.close(copy)
    assert found == Outcome("good day", output="good day\n")


def test_what_is_printed_is_kept_but_not_all_of_it(untouched: bool) -> None:
    assert outcome(call("say", text="good day"), untouched) == Outcome(
        "good day", output="good day\n"
    )
    found = outcome(call("say", text="x" * 99_999, times=20), untouched)
    assert found.output == "x" * 65_536 + "\n... 1,934,464 bytes more ...\n"


@pytest.mark.parametrize(
    ("one", "failure"),
    [
        (call("leave", code=0), "ended its process with exit code 0"),
        (call("leave", code=3), "ended its process with exit code 3"),
        (call("leave_a_fork", code=4), "ended its process with exit code 4"),
        (call("end_by", number=int(signal.SIGSEGV)), "was killed by SIGSEGV"),
        (
            call("end_by", number=int(signal.SIGKILL)),
            "was killed by SIGKILL; the machine may be out of memory",
        ),
        (call("close_all"), "closed the pipe of its answer"),
    ],
)
def test_ends_without_an_answer_are_told_apart(one: Call, failure: str, untouched: bool) -> None:
    found = outcome(one, untouched)
    assert (found.failure, found.answer, found.is_late) == (failure, None, False)


def test_an_answer_that_is_none_is_told_apart(untouched: bool) -> None:
    open_here = [int(path.name) for path in Path("/proc/self/fd").iterdir()]  # the call has others
    found = outcome(call("write_nonsense", besides=open_here), untouched)
    assert (found.failure, found.answer) == ("returned an answer that cannot be read", None)


def test_what_is_raised_is_there_with_its_traceback(untouched: bool) -> None:
    for name in ("KeyboardInterrupt", "ValueError"):
        found = outcome(call("raise_it", kind=name), untouched)
        assert found.failure.startswith(f"raised {name}\nTraceback (most recent call last):\n")
        assert found.failure.endswith(f"{name}: on purpose\n")
    assert "no_such_function" in outcome(call("no_such_function"), untouched).failure


def test_a_fork_that_a_call_leaves_behind_does_not_keep_it_from_ending(untouched: bool) -> None:
    assert outcome(call("leave_a_fork", code=0), untouched).answer == 7


def test_one_that_hangs_is_late_and_says_where_it_was() -> None:
    for seconds in (1, 8, 64):
        found = outcome(call("hang", seconds=float(seconds)), True)
        assert found.is_late
        first, *frames = found.failure.splitlines()
        assert first == f"did not end within {seconds} seconds"
        if any(hung := [frame.endswith(" in hang") for frame in frames]):
            break  # else it did not get there in time
    assert "called_in_children.py" in frames[hung.index(True)]


def test_a_fresh_one_that_hangs_is_late(untouched: bool) -> None:
    assert outcome(call("hang", seconds=0.2), untouched).is_late


def test_calls_that_hang_leave_their_share_of_the_time_to_the_others() -> None:
    calls = [*[call("hang", seconds=None)] * 3, call("back", seconds=None, value=1)]
    for seconds in (4, 16, 64):
        found = in_children(calls, seconds=float(seconds), slots=2)
        assert [one.is_late for one in found[:3]] == [True, True, True]
        assert found[0].failure.startswith(f"did not end within {seconds // 2} seconds")
        if not found[3].is_late:
            break  # else it was not even begun in its share of the time
    assert found[3].answer == 1


def test_what_cannot_begin_in_time_is_late() -> None:
    (found,) = in_children([call("back", value=1)], seconds=0.0)
    assert found == Outcome(failure="was not started in time", is_late=True)


def test_an_interrupt_ends_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kindling_airflow.common.child.calls._read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        in_children([call("hang", seconds=None)])
    with pytest.raises(ChildProcessError):  # none is left, not even as a zombie
        os.waitpid(-1, os.WNOHANG)


def test_a_child_that_something_else_has_reaped_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def reaped(*_: object) -> tuple[int, int]:
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", reaped)
    assert outcome(call("back", value=1), True).answer in (1, None)
    monkeypatch.undo()
    os.waitpid(-1, 0)


def test_a_fresh_interpreter_that_ends_at_once_gives_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kindling_airflow.common.child.process._FRESH", "raise SystemExit(5)")
    big = call("back", value="x" * 1_000_000)
    assert outcome(big, False).failure == "ended its process with exit code 5"


def test_output_that_cannot_be_flushed_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert outcome(call("back", value=1), True).answer == 1


class Channel:
    def __init__(self) -> None:
        self.silenced_at: list[int] = []

    def share(self) -> None:
        os.environ["SHARED"] = "yes"

    @contextmanager
    def silenced(self) -> Iterator[None]:
        self.silenced_at.append(os.getpid())
        yield


def test_a_fork_gets_ready_to_share_a_channel_which_is_silent_when_it_is_ended() -> None:
    channel = Channel()
    calls = [Call("os:getenv", {"key": "SHARED"}), call("hang", seconds=0.3)]
    found = in_children(calls, channel=channel)
    assert (found[0].answer, found[1].is_late) == ("yes", True)
    assert os.getpid() in channel.silenced_at
    assert "SHARED" not in os.environ


def test_an_answer_is_a_document() -> None:
    assert answer_of("tests.common.called_in_children:back", {"value": 1}) == b'{"answer": 1}'
    assert answer_of("no_such_module:name", {}).startswith(b'{"raised": "ModuleNotFoundError"')
