"""A machine that was frozen wakes up: its driver waits until Airflow could have ended it."""

from __future__ import annotations

import threading

from kindling_airflow.runner.standstill import Standstill, boot_time


class Clock:
    def __init__(self) -> None:
        self.now, self.pauses = 0.0, []  # type: ignore[var-annotated]

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_a_process_that_runs_does_not_wait() -> None:
    clock = Clock()
    still = Standstill(clock, clock.pause)
    for _ in range(100):
        clock.now += 1
        still.beat()
    still.settle()
    assert clock.pauses == []


def test_one_that_stood_still_waits_once() -> None:
    clock = Clock()
    still = Standstill(clock, clock.pause)
    clock.now += 3600  # no beat: it goes straight on to publishing
    still.settle()
    assert sum(clock.pauses) == 20
    still.settle()
    assert sum(clock.pauses) == 20


def test_one_that_has_run_again_for_a_while_does_not_wait() -> None:
    clock = Clock()
    still = Standstill(clock, clock.pause)
    clock.now += 3600
    for _ in range(25):
        still.beat()
        clock.now += 1
    still.settle()
    assert clock.pauses == []


def test_the_clock_is_watched_from_a_thread_that_ends_with_the_process() -> None:
    Standstill().watch()
    (thread,) = (t for t in threading.enumerate() if t.name == "kindling-standstill")
    assert thread.daemon
    assert boot_time() > 0
