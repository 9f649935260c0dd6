"""A throw-away Airflow: what it starts with, how it fails, and that nothing of it is left."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from demo import local_airflow
from demo.local_airflow import LocalAirflow, free_port
from kindling_airflow.errors import LocalAirflowError

WAIT = 30.0


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_airflow, "_LINGER_SECONDS", 0.1)
    monkeypatch.setattr(local_airflow, "_GRACE_SECONDS", 2.0)


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[Callable[[str], LocalAirflow]]:
    """Make a deployment whose ``python -m airflow`` is a program with this body."""
    made: list[LocalAirflow] = []

    def make(body: str) -> LocalAirflow:
        package = tmp_path / "stand-in" / "airflow"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(body)
        made.append(
            LocalAirflow(
                tmp_path / "home",
                dags_folder=tmp_path / "dags",
                warehouse=tmp_path / "warehouse",
                environment={"PYTHONPATH": str(package.parent)},
            )
        )
        return made[-1]

    yield make
    for deployment in made:
        deployment.stop()


def test_a_free_port_is_one_that_can_be_listened_on() -> None:
    port = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.listen()
        assert free_port() != port


def test_an_airflow_that_ends_early_is_an_error_with_the_end_of_its_log(
    airflow: Callable[[str], LocalAirflow],
) -> None:
    deployment = airflow("for n in range(100): print('line', n)\nraise SystemExit(3)\n")
    with pytest.raises(LocalAirflowError) as caught:
        deployment.start()
    lines = "\n".join(f"line {n}" for n in range(60, 100))
    assert str(caught.value) == (
        f"airflow standalone ended with status 3; the end of '{deployment.log_path}':\n{lines}"
    )


def test_an_airflow_that_does_not_come_up_is_an_error_and_is_ended(
    airflow: Callable[[str], LocalAirflow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_airflow, "_STARTUP_SECONDS", 1.0)
    deployment = airflow("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n")
    with pytest.raises(LocalAirflowError) as caught:
        deployment.start()
    first, pid = str(caught.value).splitlines()
    assert first == (f"airflow standalone did not come up; the end of '{deployment.log_path}':")
    assert not psutil.pid_exists(int(pid))


def test_what_an_airflow_that_ended_early_had_started_is_ended(
    airflow: Callable[[str], LocalAirflow],
) -> None:
    deployment = airflow(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid)\n"
        "raise SystemExit(1)\n"
    )
    with pytest.raises(LocalAirflowError) as caught:
        deployment.start()
    assert gone(int(str(caught.value).splitlines()[-1]))


def test_it_hears_its_own_settings_and_no_others(
    airflow: Callable[[str], LocalAirflow], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "99")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "SomebodyElses")
    monkeypatch.setenv("SPARK_HOME", "/opt/spark")
    monkeypatch.setenv("MINE", "kept")
    deployment = airflow(
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))"
    )
    arguments, environment = json.loads(deployment.run("dags", "list").stdout)
    assert arguments == ["dags", "list"]
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "home")
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(tmp_path / "dags")
    assert environment["AIRFLOW__KINDLING__WAREHOUSE"] == str(tmp_path / "warehouse")
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "4"
    assert environment["AIRFLOW__API__BASE_URL"] == deployment.url
    assert environment["MINE"] == "kept"
    assert not {"AIRFLOW__CORE__EXECUTOR", "SPARK_HOME"} & environment.keys()


def test_a_reset_forgets_the_home_and_nothing_else(
    airflow: Callable[[str], LocalAirflow], tmp_path: Path
) -> None:
    (tmp_path / "warehouse").mkdir()
    deployment = airflow("")
    deployment.reset()
    (deployment.home / "logs").mkdir(parents=True)
    deployment.reset()
    assert not deployment.home.exists()
    assert (tmp_path / "warehouse").is_dir()


# Real trees of processes. Each program prints its own id, then those of what it started.

CHILD = "import signal, sys, time; {ignore}; print('ready', flush=True); time.sleep(600)"
IGNORE = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
DEAF = f"{IGNORE}; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
TREE = """
import os, signal, subprocess, sys
{first}
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(os.getpid(), child.pid, flush=True)
{then}
"""


def start(child: str, then: str, first: str = "") -> tuple[subprocess.Popen[bytes], list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", TREE.format(child=child, then=then, first=first)],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        return process, [int(pid) for pid in process.stdout.readline().split()]


def gone(pid: int) -> bool:
    """Tell whether a process has ended; one that nobody has waited for yet has, too."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_a_tree_that_listens_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_airflow, "_LINGER_SECONDS", WAIT)
    process, pids = start(
        CHILD.format(ignore="pass"),
        first="signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])",
        then="signal.sigwait([signal.SIGINT]); child.terminate(); sys.exit(child.wait())",
    )
    local_airflow._end(process)
    assert process.returncode == 256 - signal.SIGTERM
    assert all(gone(pid) for pid in pids)


def test_a_parent_that_is_deaf_has_its_children_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a shell has started it in the background."""
    monkeypatch.setattr(local_airflow, "_LINGER_SECONDS", WAIT)
    process, pids = start(
        CHILD.format(ignore="signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))"),
        first=IGNORE,
        then="sys.exit(child.wait())",
    )
    local_airflow._end(process)
    assert process.returncode == 7
    assert all(gone(pid) for pid in pids)


def test_a_tree_that_does_not_listen_is_killed() -> None:
    process, pids = start(CHILD.format(ignore=DEAF), "signal.pause()", first=IGNORE)
    local_airflow._end(process)
    assert all(gone(pid) for pid in pids)


def test_a_child_that_outlives_its_parent_is_killed() -> None:
    process, pids = start(CHILD.format(ignore=DEAF), "child.wait()")
    local_airflow._end(process)
    assert all(gone(pid) for pid in pids)


def test_a_child_of_a_parent_that_has_ended_already_is_killed() -> None:
    process, pids = start(CHILD.format(ignore="pass"), "")
    process.wait(WAIT)
    local_airflow._end(process)
    assert all(gone(pid) for pid in pids)


def test_a_child_that_went_into_a_session_of_its_own_is_killed() -> None:
    child = "import os; os.setsid(); " + CHILD.format(ignore=DEAF)
    process, pids = start(child, "child.wait()")
    local_airflow._end(process)
    assert all(gone(pid) for pid in pids)


def test_other_peoples_processes_are_left_alone() -> None:
    bystander, _ = start(CHILD.format(ignore="pass"), "child.wait()")
    process, _ = start(CHILD.format(ignore="pass"), "child.wait()")
    local_airflow._end(process)
    assert bystander.poll() is None
    local_airflow._end(bystander)
    assert bystander.poll() is not None
