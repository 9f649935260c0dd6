"""The folder of misbehaving projects on a real DAG processor, scheduler and worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.local_airflow import LocalAirflow
from tests.dag_factory.misbehaving import KINDS, add_kinds, write_folder

pytestmark = pytest.mark.system

FACTORY = """
from kindling_airflow.dag_factory import load_dags
from kindling_airflow.operators.pipe import KindlingPipeOperator

KindlingPipeOperator.execute = lambda self, context: print("AT WORK", self.pipe_id)
globals().update(load_dags(__file__))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    folder = tmp_path_factory.mktemp("misbehaving")
    dags = write_folder(folder / "dags", {})
    (dags / "kindling_dags.py").write_text(FACTORY)
    (dags / "good.kindling.yaml").write_text(
        "dag_id: good\nproject: good\nschedule: '0 0 * * *'\nstart_date: 2026-01-01\n"
    )
    (dags / "draft.kindling.yaml").write_text("dag_id: draft\nproject: good\n")
    (dags / ".airflowignore").write_text("draft*\n")
    environment = {
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3600",  # it forgets errors of other files
        "AIRFLOW__KINDLING__IMPORT_TIMEOUT": "6",
    }
    with LocalAirflow(
        folder / "home", dags_folder=dags, warehouse=folder / "lake", environment=environment
    ) as started:
        started.api.wait_for_dag("good", 300)
        add_kinds(dags)  # not before: hanging imports take what Airflow needs to come up
        started.api.wait_for_dag("prints", 300)
        started.api.unpause("good")  # not before: no task could start
        yield started


def test_the_good_project_is_scheduled_and_runs(airflow: LocalAirflow) -> None:
    api = airflow.api
    api.trigger("good", "by_hand")
    assert api.wait_for_run("good", "by_hand", 400) == "success"
    scheduled = [run for run in api.runs("good") if run["run_type"] == "scheduled"]
    assert scheduled
    assert api.wait_for_run("good", scheduled[0]["dag_run_id"], 400) == "success"


def test_every_other_one_is_there_or_named(airflow: LocalAirflow) -> None:
    named = {error["filename"].partition(".")[0] for error in airflow.api.import_errors()}
    there = {name for name in KINDS if airflow.api.dag(name) is not None}
    assert there == {name for name, kind in KINDS.items() if not kind.error}
    assert named == {*KINDS.keys() - there, "is_binary", "broken_yaml"}


def test_what_airflow_ignores_is_not_there(airflow: LocalAirflow) -> None:
    assert airflow.api.dag("draft") is None
