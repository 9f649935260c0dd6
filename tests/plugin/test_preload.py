"""Who imports this package before it forks, and who does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from kindling_airflow.plugin import preload
from kindling_airflow.plugin.preload import modules_for

_SCRIPT = """
import json, os, sys
from types import SimpleNamespace
from airflow.listeners.listener import get_listener_manager
from airflow.sdk.execution_time import task_runner
job_type = sys.argv[1] or None
get_listener_manager().hook.on_starting(component=SimpleNamespace(job_type=job_type))
child = os.fork()
if child == 0:
    names = ("kindling_airflow.dag_factory.factory", "kindling_airflow.definitions.compile",
             "networkx", "airflow.providers.apache.spark.operators.spark_submit", "pyspark")
    print(json.dumps([name for name in names if name in sys.modules]), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def held_by_a_child(job_type: str, **variables: str) -> list[str]:
    """Return which modules a child has that a process of Airflow forks after it has started."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, job_type],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_children_of_the_dag_processor_have_all_that_a_dag_file_needs() -> None:
    assert held_by_a_child("DagProcessorJob") == [
        "kindling_airflow.dag_factory.factory",
        "kindling_airflow.definitions.compile",
        "networkx",
        "airflow.providers.apache.spark.operators.spark_submit",
    ]


def test_tasks_of_the_local_executor_have_what_one_task_needs() -> None:
    found = held_by_a_child("SchedulerJob", AIRFLOW__CORE__EXECUTOR="LocalExecutor")
    assert found == [
        "kindling_airflow.dag_factory.factory",
        "airflow.providers.apache.spark.operators.spark_submit",
    ]


@pytest.mark.parametrize(
    ("job_type", "executor", "is_first"),
    [
        ("SchedulerJob", "LocalExecutor", True),
        ("SchedulerJob", "CeleryExecutor,LocalExecutor", True),
        ("SchedulerJob", "CeleryExecutor", False),
        ("TriggererJob", "LocalExecutor", False),
        (None, "LocalExecutor", False),
    ],
)
def test_other_processes_import_nothing(
    monkeypatch: pytest.MonkeyPatch, job_type: str | None, executor: str, is_first: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert bool(modules_for(job_type)) is is_first


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__PRELOAD", "False")
    assert modules_for("DagProcessorJob") == modules_for("SchedulerJob") == ()


def test_what_cannot_be_imported_does_not_stop_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preload, "_WHOLE_DAGS", ("no_such_module_anywhere", "json"))
    preload.on_starting(SimpleNamespace(job_type="DagProcessorJob"))


_JOB = """
import sys
sys.argv = ["airflow", sys.argv[1]]
from airflow.jobs.job import Job
Job()
print("kindling_airflow.dag_factory.build" in sys.modules)
"""


@pytest.mark.parametrize(
    ("command", "is_there"), [("scheduler", True), ("dag-processor", True), ("triggerer", False)]
)
def test_a_job_of_airflow_that_has_no_type_yet_is_known_by_its_command(
    command: str, is_there: bool
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _JOB, command],
        env={**os.environ, "AIRFLOW__CORE__EXECUTOR": "LocalExecutor"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str(is_there)


def test_a_type_that_is_known_comes_before_the_command() -> None:
    component = SimpleNamespace(job_type="TriggererJob")
    assert preload.job_type_of(component, ["airflow", "scheduler"]) == "TriggererJob"
    assert preload.job_type_of(SimpleNamespace(), ["airflow"]) is None
