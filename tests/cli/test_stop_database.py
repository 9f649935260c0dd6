"""``stop`` on Airflow's own database and scheduler code; workers do what the test says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dag_factory.projects import write_definition

PIPES = """\
from kindling_airflow import DataEntities, DataPipes

STREAM = {"processing_mode": "streaming"}
FILES = {"provider_type": "json", "provider.path": "landing"}
DataEntities.entity(entityid="landing", tags=FILES, schema="number BIGINT")
for name in ("taken", "cleaned", "tallied"):
    DataEntities.entity(entityid=name, schema="number BIGINT")

@DataPipes.pipe("take", tags=STREAM, input_entity_ids=["landing"], output_entity_id="taken")
def take(landing): ...

@DataPipes.pipe("clean", tags=STREAM, input_entity_ids=["taken"], output_entity_id="cleaned")
def clean(taken): ...

@DataPipes.pipe("tally", input_entity_ids=["cleaned"], output_entity_id="tallied")
def tally(cleaned): ...
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What became of a run that was stopped, and of the next one."""
    folder = tmp_path_factory.mktemp("stop")
    dags = folder / "dags"
    (dags / "shop").mkdir(parents=True)
    (dags / "shop" / "pipes.py").write_text(PIPES)
    write_definition(
        dags / "lake.kindling.yaml",
        "dag_id: lake\nproject: {path: shop, modules: [pipes]}\nstrategy: hybrid\nwidth: 3\n"
        "pool: default_pool\n",
    )
    (dags / "kindling_dags.py").write_text(
        "from kindling_airflow import load_dags  # airflow, dag\n"
        "globals().update(load_dags(__file__))\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.stopped_runs", str(dags)],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(folder / "home"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_the_dag_is_not_paused_while_a_batch_pipe_is_to_be_run(seen: dict[str, Any]) -> None:
    assert seen["while the batch pipe waits"] == {"is_paused": False, "tally": None}
    assert "lake run 0: streams: 2 success; still running: 'tally' (queued)" in seen["said"]


def test_the_run_that_began_before_the_dag_was_paused_is_stopped_too(seen: dict[str, Any]) -> None:
    assert seen["before it is paused"] == ["success", "running"]
    assert seen["then"] == {"is_paused": True, "stop": "success"}
    assert [line for line in seen["said"] if not line.startswith("lake run")][:3] == [
        "lake: paused",
        "lake: not paused for now: tasks still have to start",
        "lake: paused",
    ]


def test_runs_and_tasks_are_over_and_none_follows(seen: dict[str, Any]) -> None:
    assert (seen["runs"], seen["tasks"]) == (["success", "success"], ["success"])
    assert seen["is_paused"] is True


def test_a_stream_that_has_not_taken_everything_is_named(seen: dict[str, Any]) -> None:
    assert seen["status"] == 1
    assert seen["said"][-5:-2] == [
        "lake run 0: success",
        "lake run 1: success",
        "lake run 0: ended before all available data was processed: 'clean'",
    ]
