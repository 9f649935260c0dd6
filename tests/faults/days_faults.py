"""What happens to drivers: once to a task, at the moment that a test has chosen, and then no more.

This module lies in the project that a test runs, and does nothing unless it is imported by a driver
whose environment names a folder ``KINDLING_FAULTS``:

    faults.json     what happens to the first driver of a pipe and a day
    drivers.txt     a line for each driver that has begun, with the processes of earlier ones of its
                    task that were still alive then
    published.txt   a line for each publish that was done

A driver that is killed is killed as the kernel kills it when memory is short: Java and Python, at
once, and nothing is tidied up.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOMENTS = ("staging", "before", "publishing", "after")
_LONGEST_WAIT = 240.0


def kill_driver() -> None:
    """End this driver here and now, its Java first."""
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    java = int(context._jvm.java.lang.ProcessHandle.current().pid())
    os.kill(java, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def inject(fault: str, folder: Path, notes: Callable[[str], None]) -> None:
    """Let the next result of this process meet a fault; note each publish that is done.

    Args:
        fault: one of :data:`MOMENTS` for a killed driver; ``raises``; ``task`` or ``worker`` for
            the process of the task, or of the worker above it, that is killed before the publish;
            ``frozen`` for the worker's that is stopped, and not killed, then; ``waits`` until a
            file ``go`` is there; ``""`` for none.
        folder: where ``waiting``, ``go`` and ``frozen.txt``, the workers that are stopped, lie.
        notes: takes a line for each publish.
    """
    from kindling_airflow.runner.pipe import run_pipe

    found = run_pipe.writable_provider_for

    def with_fault(entity: Any, context: Any) -> Any:
        provider: Any = found(entity, context)
        stage, publish = provider.stage, provider.publish

        def staged(*arguments: Any) -> Any:
            if fault == "staging":
                _killed_when_there_are_files(Path(context.warehouse, "_kindling", "staging"))
            result = stage(*arguments)
            _between(fault, folder)
            return result

        def published(*arguments: Any) -> Any:
            if fault == "publishing":
                _killed_when_there_are_files(Path(context.location_of(entity)))
            told = publish(*arguments)
            if fault == "publishing":
                kill_driver()
            notes("published")
            if fault == "after":
                kill_driver()
            return told

        provider.stage, provider.publish = staged, published
        return provider

    run_pipe.writable_provider_for = with_fault


def _between(fault: str, folder: Path) -> None:
    """Do what a fault does while the result is staged and not published."""
    if fault in ("staging", "before"):
        kill_driver()
    if fault == "raises":
        raise RuntimeError("on purpose")
    if fault in ("task", "worker"):
        java = os.getppid()
        task = _parent(java)
        os.kill(task if fault == "task" else _parent(task), signal.SIGKILL)
        time.sleep(_LONGEST_WAIT)
    if fault == "frozen":
        worker = _parent(_parent(os.getppid()))
        _add(folder / "frozen.txt", str(worker))
        os.kill(worker, signal.SIGSTOP)
        time.sleep(_LONGEST_WAIT)
    if fault == "waits":
        (folder / "waiting").touch()
        deadline = time.monotonic() + _LONGEST_WAIT
        while not (folder / "go").exists() and time.monotonic() < deadline:
            time.sleep(0.1)


def _killed_when_there_are_files(folder: Path) -> None:
    """Kill this driver as soon as a file of rows appears that was not there before."""
    before = set(folder.rglob("*.parquet"))

    def watch() -> None:
        while set(folder.rglob("*.parquet")) <= before:
            pass
        kill_driver()

    threading.Thread(target=watch, daemon=True).start()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _begin(folder: Path) -> None:
    """Note that this driver has begun, and arrange for what is to happen to it."""
    request = json.loads(sys.argv[1])
    task = f"{request['pipe_id']} {str(request['interval_start'])[:10]}"
    drivers = folder / "drivers.txt"
    lines = drivers.read_text().splitlines() if drivers.exists() else []
    earlier = [json.loads(line) for line in lines]
    same = [driver for driver in earlier if driver["task"] == task]
    pids = [os.getpid(), os.getppid()]
    beside = [pid for driver in same for pid in driver["pids"] if _is_alive(pid)]
    line = {"task": task, "try": request["try_number"], "pids": pids, "beside": beside}
    _add(drivers, json.dumps(line))
    faults = json.loads((folder / "faults.json").read_text())
    inject(
        "" if same else faults.get(task, ""),
        folder,
        lambda what: _add(folder / f"{what}.txt", task),
    )


def _add(path: Path, line: str) -> None:
    with path.open("a") as file:  # a single short write: lines of several drivers do not mix
        file.write(f"{line}\n")


if "KINDLING_FAULTS" in os.environ and "PYSPARK_GATEWAY_PORT" in os.environ:
    _begin(Path(os.environ["KINDLING_FAULTS"]))
