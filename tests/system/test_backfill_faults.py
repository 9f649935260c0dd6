"""Half a month of flights, backfilled by Airflow while drivers, tasks, a worker and the scheduler
are killed, and a worker is frozen; and the same days one after the other, without any of that.

The project is the example of the page on backfills, with a log that is appended to beside it. Its
second table of slices is left out: each driver takes its time, and faults meet both kinds of table
without it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import psutil
import pytest

from demo.local_airflow import LocalAirflow
from tests.faults.days import january, land, write_project
from tests.oracle.compare import differences
from tests.oracle.days_oracle import expected_days
from tests.system.backfills import Backfills
from tests.system.conftest import PROFILES, ROOT

pytestmark = pytest.mark.system

DEFINITION = """dag_id: days
project: {path: days, modules: [days_pipeline, days_cancelled, days_faults]}
exclude: [days.delays]
schedule: "@daily"
start_date: 2013-01-01
on_missing_interval: fail
width: 3
retries: 3
retry_delay_seconds: 0
spark: {conf: {spark.sql.session.timeZone: UTC}}
"""
ENVIRONMENT = {
    # What is lost is missed after a minute, and not after five.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
}
PIPES = ("days.flights", "days.cancelled")  # a slice that is replaced, a log that is added to
HALF_A_MONTH = range(1, 15)
LEFT_ALONE = 20  # the day in which the scheduler is killed
FAULTS = (
    *("staging", "before", "publishing", "after", "after", "raises", "raises"),
    *("task", "worker", "frozen"),
)


def day(n: int) -> str:
    return f"2013-01-{n:02}"


def chosen_faults() -> dict[str, str]:
    """Return what happens to whom, by chance, and always the same."""
    chance = random.Random(348)  # both tables are met by a kill behind their publish
    tasks = [f"{pipe_id} {day(n)}" for n in HALF_A_MONTH for pipe_id in PIPES]
    return dict(zip(chance.sample(tasks, len(FAULTS)), FAULTS, strict=True))


class Trial(NamedTuple):
    """What is left when everything is over."""

    warehouse: Path
    serial: Path
    runs: list[dict[str, Any]]
    tries: dict[str, int]  # by pipe and day
    drivers: list[dict[str, Any]]
    published: list[str]


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory, spark_profile: str) -> Trial:
    """Everything, once: the backfill with its faults, the killed scheduler, the days in order."""
    folder = tmp_path_factory.mktemp("faults")
    dags, warehouse, faults = folder / "dags", folder / "lake", folder / "faults"
    project = write_project(dags / "days")
    (dags / "days.kindling.yaml").write_text(DEFINITION)
    shutil.copy(ROOT / "dags" / "kindling_dags.py", dags)
    land(warehouse, january())
    faults.mkdir()
    left = {f"days.flights {day(LEFT_ALONE)}": "waits"}
    (faults / "faults.json").write_text(json.dumps({**chosen_faults(), **left}))
    with LocalAirflow(
        folder / "home",
        dags_folder=dags,
        warehouse=warehouse,
        profile=PROFILES,
        environment={**ENVIRONMENT, "KINDLING_FAULTS": str(faults)},
    ) as airflow:
        airflow.api.wait_for_dag("days")
        airflow.api.unpause("days")
        backfills = Backfills(airflow, "days")
        backfills.create(day(1), day(14), "--max-active-runs", "3")
        with frozen_workers_continued(faults):
            backfills.wait(900)
        backfills.close()
        backfills.create(day(LEFT_ALONE), day(LEFT_ALONE))
        until((faults / "waiting").exists, "the driver is at work")
        with killed_and_started_again(airflow):
            seconds = 40.0  # in which Airflow may start a second driver
            with suppress(AssertionError):
                until(lambda: drivers_of(faults, LEFT_ALONE) > 1, "a second driver", seconds)
            (faults / "go").touch()
            backfills.wait()
        found = backfills.runs()
        tries = {
            f"{i['task_id']} {run['data_interval_start'][:10]}": i["try_number"]
            for run in found
            for i in airflow.api.task_instances("days", run["dag_run_id"])
        }
    serial = run_in_order(project, folder / "serial", spark_profile)
    lines = (faults / "drivers.txt").read_text().splitlines()
    published = (faults / "published.txt").read_text().splitlines()
    return Trial(warehouse, serial, found, tries, [json.loads(x) for x in lines], published)


def until(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


def drivers_of(faults: Path, n: int) -> int:
    return (faults / "drivers.txt").read_text().count(f"days.flights {day(n)}")


@contextmanager
def frozen_workers_continued(faults: Path) -> Iterator[None]:
    """Continue the workers that were frozen; Airflow tells them then to end their tasks."""
    try:
        yield
    finally:
        for pid in (faults / "frozen.txt").read_text().split():
            psutil.Process(int(pid)).resume()


class killed_and_started_again:  # noqa: N801 (a context manager)
    """Kill the scheduler, and nothing else, and let a new one go on."""

    def __init__(self, airflow: LocalAirflow) -> None:
        self.airflow = airflow

    def __enter__(self) -> None:
        assert self.airflow._process is not None
        family = psutil.Process(self.airflow._process.pid).children()
        (scheduler,) = [member for member in family if "scheduler" in member.cmdline()]
        scheduler.kill()  # nobody reaps it
        self._log = (self.airflow.home / "second_scheduler.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "scheduler"],
            env=self.airflow.environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __exit__(self, *_: object) -> None:
        family = psutil.Process(self._process.pid).children(recursive=True)
        for member in [psutil.Process(self._process.pid), *family]:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        self._process.wait(30)
        self._log.close()


def run_in_order(project: Path, warehouse: Path, profile: str) -> Path:
    """Run every pipe for one day after the other, in one session; return the warehouse."""
    land(warehouse, january())
    days = [*HALF_A_MONTH, LEFT_ALONE]
    said = f"{str(project)!r}, {str(warehouse)!r}, {days}, {PIPES}"
    code = f"from tests.faults.days import main; main({said})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "SPARK_SUBMIT_OPTS": profile},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return warehouse


def test_every_run_ends_well(trial: Trial) -> None:
    assert {run["data_interval_start"][:10]: run["state"] for run in trial.runs} == {
        day(n): "success" for n in (*HALF_A_MONTH, LEFT_ALONE)
    }


def test_a_driver_is_started_again_for_each_fault_and_for_nothing_else(trial: Trial) -> None:
    faults = chosen_faults()
    started = Counter(driver["task"] for driver in trial.drivers)
    assert {task: n for task, n in started.items() if "2013" in task and day(20) not in task} == {
        f"{pipe_id} {day(n)}": 2 if f"{pipe_id} {day(n)}" in faults else 1
        for pipe_id in PIPES
        for n in HALF_A_MONTH
    }


def test_no_driver_works_beside_an_earlier_one_of_its_task(trial: Trial) -> None:
    assert [driver for driver in trial.drivers if driver["beside"]] == []


def test_every_pipe_is_published_once_unless_it_was_killed_behind_its_publish(
    trial: Trial,
) -> None:
    faults = chosen_faults()
    published = Counter(task for task in trial.published if "2013" in task)
    assert published == {
        f"{pipe_id} {day(n)}": 2 if faults.get(f"{pipe_id} {day(n)}") == "after" else 1
        for pipe_id in PIPES
        for n in (*HALF_A_MONTH, LEFT_ALONE)
    }


@pytest.mark.parametrize("table", PIPES)
def test_the_tables_are_those_of_days_in_order_row_for_row(trial: Trial, table: str) -> None:
    one, other = (
        f"(SELECT * FROM read_parquet('{warehouse / table}/**/*.parquet', hive_partitioning=true))"
        for warehouse in (trial.warehouse, trial.serial)
    )
    assert duckdb.sql(f"{one} EXCEPT ALL {other}").fetchall() == []
    assert duckdb.sql(f"{other} EXCEPT ALL {one}").fetchall() == []


@pytest.mark.parametrize("table", PIPES)
def test_the_tables_are_what_another_engine_computes(trial: Trial, table: str) -> None:
    landing = trial.warehouse / "landing"
    expected = expected_days(landing, *HALF_A_MONTH, LEFT_ALONE).table(f'"{table}"')
    assert differences(trial.warehouse / table, expected) == []


def test_nothing_is_left_in_the_staging_area(trial: Trial) -> None:
    staging = trial.warehouse / "_kindling" / "staging"
    assert [str(path) for path in staging.rglob("*.parquet")] == []
