"""The same with real threads: what a simulation cannot tell.

Nothing here measures time; waits only end early when something hangs for good.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from kindling_airflow.generation_executor import GenerationExecutor, PipeStatus, signals
from kindling_airflow.generation_executor.threads import DaemonThreads
from tests.builders import plan

PATIENCE = 30.0


def test_pipes_of_a_generation_really_run_side_by_side() -> None:
    """Each waits until all three are there; one after the other they would wait in vain."""
    meeting = threading.Barrier(3, timeout=PATIENCE)
    executor = GenerationExecutor(lambda pipe_id: meeting.wait() and None)
    assert executor.execute_batch(plan("a, b, c"), parallel=True, max_workers=3).all_succeeded


def test_no_more_threads_run_pipes_than_there_are_workers() -> None:
    lock, running, most = threading.Lock(), [0], [0]

    def run_pipe(pipe_id: str) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        threading.Event().wait(0.001)
        with lock:
            running[0] -= 1

    drawing = ", ".join(f"p{n}" for n in range(40))
    assert GenerationExecutor(run_pipe).execute_batch(plan(drawing), True, 3).all_succeeded
    assert 1 <= most[0] <= 3


def test_a_pipe_that_never_returns_holds_up_nobody() -> None:
    never = threading.Event()
    ran: list[str] = []

    def run_pipe(pipe_id: str) -> None:
        ran.append(pipe_id)
        if pipe_id == "stuck":
            never.wait(PATIENCE)

    executor = GenerationExecutor(run_pipe)
    result = executor.execute(plan("stuck, other"), pipe_timeout=0.05)
    never.set()
    assert ran == ["stuck", "other"]
    assert [r.status for r in result.pipe_results] == [PipeStatus.FAILED, PipeStatus.SUCCESS]
    assert result.pipe_results[0].timed_out


def test_a_cancelled_pipe_is_tried_again() -> None:
    class Runner:
        def __init__(self) -> None:
            self.go_on = threading.Event()
            self.tries = 0

        def __call__(self, pipe_id: str) -> None:
            self.tries += 1
            if self.tries == 1:
                assert self.go_on.wait(PATIENCE)

        def cancel(self, pipe_id: str) -> None:
            self.go_on.set()

    result = GenerationExecutor(Runner()).execute(
        plan("a"), pipe_timeout=PATIENCE, overrides={"a": {"timeout_seconds": 0.05,
        "retry.attempts": 1, "retry.interval_seconds": 0}},
    )  # fmt: skip
    assert (result.all_succeeded, result.pipe_results[0].attempts) == (True, 2)


def test_a_process_ends_although_a_pipe_never_does() -> None:
    """A pool of threads would be joined when the interpreter ends."""
    program = """
import threading
from kindling_airflow.generation_executor import GenerationExecutor
from tests.builders import plan
result = GenerationExecutor(lambda _: threading.Event().wait()).execute(plan("a"), pipe_timeout=0.1)
print(result.failed_pipes)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (ran.returncode, ran.stdout) == (0, "('a',)\n"), ran.stderr


def test_a_keyboard_interrupt_ends_the_wait_for_a_pipe() -> None:
    program = """
import os, signal, threading
from kindling_airflow.generation_executor import ExecutionInterrupted, GenerationExecutor
from tests.builders import plan

def run_pipe(pipe_id):
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()

try:
    GenerationExecutor(run_pipe).execute(plan("a -> b"))
except ExecutionInterrupted as interrupt:
    print([r.status.value for r in interrupt.result.pipe_results])
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert (ran.returncode, ran.stdout) == (0, "['failed', 'not_run']\n"), ran.stderr


def test_pipes_see_the_context_variables_of_the_caller() -> None:
    tenant: ContextVar[str] = ContextVar("tenant")
    tenant.set("acme")
    seen: list[str] = []
    GenerationExecutor(lambda pipe_id: seen.append(tenant.get())).execute(plan("a"))
    assert seen == ["acme"]


def test_signals_come_in_the_thread_that_executes() -> None:
    threads: set[threading.Thread] = set()

    def listener(sender: object, **_: object) -> None:
        threads.add(threading.current_thread())

    with signals.pipe_completed.connected_to(listener):
        GenerationExecutor(lambda _: None).execute(plan("a, b, c"), parallel=True)
    assert threads == {threading.current_thread()}


def test_one_executor_executes_several_plans_at_once() -> None:
    meeting = threading.Barrier(2, timeout=PATIENCE)
    executor = GenerationExecutor(lambda pipe_id: meeting.wait() and None)
    found: dict[str, bool] = {}

    def execute(drawing: str) -> None:
        found[drawing] = executor.execute(plan(drawing)).all_succeeded

    callers = [threading.Thread(target=execute, args=(name,)) for name in ("a", "b")]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE)
    assert found == {"a": True, "b": True}


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_a_message_that_is_there_is_taken_however_little_time_there_is(seconds: float) -> None:
    threads = DaemonThreads()
    assert threads.wait(seconds) is None
    threads.post("here")
    assert threads.wait(seconds) == "here"


def test_any_number_of_seconds_can_be_waited() -> None:
    threads = DaemonThreads()
    threads.post("here")
    assert threads.wait(1e300) == "here"


def test_work_leaves_its_result_as_a_message_from_a_daemon_thread() -> None:
    threads = DaemonThreads()
    work: Callable[[], tuple[str, bool]] = lambda: (  # noqa: E731
        threading.current_thread().name,
        threading.current_thread().daemon,
    )
    threads.start("a name", work)
    assert threads.wait(None) == ("a name", True)
    assert threads.now() <= threads.now()
