"""One real Airflow for all system tests: the sample project, and the trials beside it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.deployment.start_profile import ProfileMode, driver_options

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ROOT / ".demo" / "profile"  # the demo's, so that it is made once


@dataclass(frozen=True)
class Deployment:
    """A running Airflow with its folders."""

    airflow: LocalAirflow
    dags: Path
    warehouse: Path
    trials: Path

    def run_to_end(self, dag_id: str, run_id: str) -> str:
        """Trigger a run and return its final state."""
        api = self.airflow.api
        api.wait_for_dag(dag_id)
        api.unpause(dag_id)
        return api.wait_for_run(dag_id, api.trigger(dag_id, run_id))

    def succeed(self, dag_id: str, run_id: str) -> None:
        """Trigger a run that must succeed; else fail with the logs of the tasks that did not."""
        state = self.run_to_end(dag_id, run_id)
        if state != "success":
            failed = [t for t, found in self.states(dag_id, run_id).items() if found == "failed"]
            logs = [f"{t}:\n{self.airflow.api.log(dag_id, run_id, t)[-4000:]}" for t in failed]
            pytest.fail("\n".join([f"{dag_id} {run_id} ended as {state}", *logs]))

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {i["task_id"]: i["state"] for i in self.airflow.api.task_instances(dag_id, run_id)}


@pytest.fixture(scope="session")
def spark_profile() -> str:
    """The JVM options of the start-up profile."""
    return driver_options(ProfileMode.LIGHT, warm_archive(PROFILES).path)


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, spark_profile: str
) -> Iterator[Deployment]:
    """A running Airflow; the pool of DAG ``truth`` exists before its first run."""
    folder = tmp_path_factory.mktemp("deployment")
    dags, warehouse, trials = folder / "dags", folder / "warehouse", folder / "trials"
    generated = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    shutil.copytree(ROOT / "dags", dags, ignore=generated)
    shutil.copytree(Path(__file__).parent / "dags", dags, dirs_exist_ok=True, ignore=generated)
    trials.mkdir()
    subprocess.run(
        [sys.executable, "-m", "flights_pipeline.landing", str(warehouse)],
        cwd=dags / "flights",
        check=True,
        stdout=subprocess.DEVNULL,
    )
    airflow = LocalAirflow(
        folder / "airflow",
        dags_folder=dags,
        warehouse=warehouse,
        profile=PROFILES,
        environment={"KINDLING_TRIALS": str(trials)},
    )
    with airflow:
        airflow.api.create_pool("kindling_truth", slots=3)
        yield Deployment(airflow, dags, warehouse, trials)
