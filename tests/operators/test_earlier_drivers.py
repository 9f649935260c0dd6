"""Drivers of earlier attempts that still run on this machine are ended before the next one starts.

The drivers are stand-ins: processes with a run request on their command lines, as spark-submit
gives it to Java and to Python.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from kindling_airflow.operators.driver import earlier_drivers
from kindling_airflow.operators.driver.earlier_drivers import end_earlier_drivers
from kindling_airflow.operators.driver.process_family import has_ended
from kindling_airflow.protocol.contracts import RunRequest

LAKE = f"/lake/{os.getpid()}"  # these tests may run twice on a machine at the same time
FIRST = RunRequest(
    "first", "silver.x", "/p", ("m",), LAKE, dag_id="d", run_id="r", task_id="x",
    attempt_order="0001",
)  # fmt: skip
SECOND = replace(FIRST, attempt_key="second", attempt_order="0002", try_number=2)
STREAM = {"lifetime": "continuous", "checkpoints": ""}
WAITS = "import sys, time; print('up', flush=True); time.sleep(600)"
WITH_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WAITS!r}])"
LOG = logging.getLogger("task")

Start = Callable[..., psutil.Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start stand-ins; they are killed in the end. Nobody reaps them before."""
    begun = []

    def started(argument: str, code: str = WAITS) -> psutil.Process:
        process = subprocess.Popen(
            [sys.executable, "-c", code, "main.py", argument, "more"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        return psutil.Process(process.pid)

    yield started
    for process in begun:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_an_earlier_driver_is_ended_with_its_children_and_named(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    driver = start(FIRST.dumps(), WITH_CHILD)
    (child,) = driver.children()
    end_earlier_drivers(SECOND, LOG)
    assert [has_ended(driver), has_ended(child)] == [True, True]
    pids = ", ".join(map(str, sorted((driver.pid, child.pid))))
    assert caplog.messages == [
        "The driver of try 1 was still running on this machine, and was ended: process " + pids
    ]


def test_that_of_another_run_of_a_stream_is_ended_too(start: Start) -> None:
    driver = start(replace(FIRST, stream=STREAM, attempt_order="0009").dumps())
    end_earlier_drivers(replace(SECOND, stream=STREAM, run_id="next"), LOG)
    assert has_ended(driver)


@pytest.mark.parametrize(
    "argument",
    [
        replace(FIRST, task_id="y").dumps(),
        replace(FIRST, run_id="another").dumps(),
        replace(FIRST, dag_id="another").dumps(),
        replace(FIRST, warehouse=f"{LAKE}2").dumps(),
        replace(FIRST, attempt_order="0003").dumps(),
        replace(FIRST, attempt_order="").dumps().replace("{", "[", 1),
        SECOND.dumps(),
        FIRST.dumps()[:-1],
        '{"attempt_key": "first"}',
        '{"rows": 1}',
    ],
    ids=[
        "task", "run", "dag", "warehouse", "newer", "no object", "itself", "cut", "other", "json",
    ],
)  # fmt: skip
def test_all_others_go_on(argument: str, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    driver = start(argument)
    end_earlier_drivers(SECOND, LOG)
    assert not has_ended(driver)
    assert caplog.messages == []


def test_attempts_without_an_order_end_nothing(start: Start) -> None:
    driver = start(FIRST.dumps())
    end_earlier_drivers(replace(SECOND, attempt_order=""), LOG)
    assert not has_ended(driver)


def test_what_is_another_users_is_named_and_left(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "kill", denied)
    monkeypatch.setattr(earlier_drivers, "_SECONDS", 0.2)
    driver = start(FIRST.dumps())
    end_earlier_drivers(SECOND, LOG)
    (message,) = caplog.messages
    assert message == (
        "The driver of try 1 still runs on this machine, and cannot be ended; it does not "
        f"publish: process {driver.pid}"
    )


def test_a_process_that_is_gone_has_ended() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    found = psutil.Process(process.pid)
    process.wait()
    assert has_ended(found)
