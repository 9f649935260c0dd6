"""``kindling-airflow run``: a plan on one Spark session in a child process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.system

COMMAND = (sys.executable, "-m", "kindling_airflow.cli.main", "run")
PIPES = """\
import os, signal, time

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw.rows",
    tags={"provider_type": "csv", "provider.path": "rows.csv"},
    schema="id BIGINT, kind STRING",
)
DataEntities.entity(
    entityid="raw.late", tags={"provider_type": "csv", "provider.path": "late.csv"}, schema="id INT"
)


def pipe(name, *inputs):
    return DataPipes.pipe(name, input_entity_ids=list(inputs), output_entity_id=name)


@pipe("rows", "raw.rows")
def rows(raw_rows):
    print("a word to the log")
    return raw_rows


@pipe("by_kind", "rows")
def by_kind(rows):
    return rows.groupBy("kind").count()


@pipe("total", "rows")
def total(rows, run):
    return run.spark.createDataFrame([(rows.count(),)], "n BIGINT")


@pipe("late", "raw.late")
def late(raw_late):
    return raw_late


@pipe("wrong", "rows")
def wrong(rows):
    if os.environ.get("TRIAL") == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("TRIAL") == "wait":
        open(os.environ["WAITING"], "w").close()
        time.sleep(600)
    raise ValueError("the moon is in the wrong phase")


@pipe("behind", "wrong")
def behind(wrong):
    return wrong
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipes.py").write_text(PIPES)
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "rows.csv").write_text("id,kind\n1,a\n2,b\n3,a\n")
    return tmp_path


def _call(
    project: Path, spark_profile: str, *arguments: str, source: str = "shop", **more: str
) -> Any:
    conf = f"spark.driver.extraJavaOptions={spark_profile}"
    small = "spark.sql.shuffle.partitions=2"
    return subprocess.run(
        [*COMMAND, source, "--conf", conf, "--conf", small, *arguments],
        cwd=project,
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_pipe_has_its_result_and_one_failure_is_status_1(
    project: Path, spark_profile: str
) -> None:
    done = _call(project, spark_profile, "--json", "-j", "2")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout)
    pipes = {p["pipe_id"]: p for g in result["generations"] for p in g["pipes"]}
    assert {pipe_id: pipe["status"] for pipe_id, pipe in pipes.items()} == {
        "rows": "success",
        "by_kind": "success",
        "total": "success",
        "late": "skipped",
        "wrong": "failed",
        "behind": "not_run",
    }
    assert pipes["wrong"]["error_type"] == "ValueError"
    assert "the moon is in the wrong phase" in pipes["wrong"]["error"]
    assert pipes["rows"]["report"]["rows_written"] == 3
    assert "late.csv" in pipes["late"]["reason"]
    # 'rows' is read by three pipes of one generation: once from disk, twice from the session.
    assert set(result["cache_metrics"]["entities"]) == {"rows"}
    assert result["cache_metrics"]["hits"] + result["cache_metrics"]["misses"] == 3
    assert result["cache_metrics"]["hits"] >= 1
    assert list((project / "warehouse" / "by_kind").glob("*.parquet"))
    assert not (project / "warehouse" / "wrong").exists()


def test_chosen_pipes_that_all_succeed_are_status_0_with_a_summary(
    project: Path, spark_profile: str
) -> None:
    done = _call(project, spark_profile, "--select", "+total")
    assert done.returncode == 0, done.stderr
    assert "2 succeeded, 0 skipped, 0 failed, 0 not run in" in done.stdout
    assert "success  total" in done.stdout
    assert "a word to the log" not in done.stdout + done.stderr


def test_manifest_runs_with_the_code_of_its_project(project: Path, spark_profile: str) -> None:
    compiling = [*COMMAND[:-1], "compile", "shop", "-o", "compiled.json"]
    subprocess.run(compiling, cwd=project, check=True, stdout=subprocess.DEVNULL)
    chosen = ("--select", "+total", "--project", "shop")
    done = _call(project, spark_profile, *chosen, source="compiled.json")
    assert done.returncode == 0, done.stderr
    assert "2 succeeded, 0 skipped, 0 failed, 0 not run in" in done.stdout


def test_session_that_dies_fails_what_it_ran_and_what_comes_after(
    project: Path, spark_profile: str
) -> None:
    done = _call(
        project,
        spark_profile,
        "--json",
        "--on-error",
        "continue",
        "--select",
        "+behind",
        TRIAL="kill",
    )
    assert done.returncode == 1
    result = json.loads(done.stdout)
    pipes = {p["pipe_id"]: p for g in result["generations"] for p in g["pipes"]}
    assert pipes["rows"]["status"] == "success"
    assert pipes["wrong"]["status"] == pipes["behind"]["status"] == "failed"
    assert "the Spark session ended with status -9" in pipes["wrong"]["error"]


def test_session_that_does_not_start_says_why(project: Path, spark_profile: str) -> None:
    done = _call(project, spark_profile, "--conf", "spark.master=nonsense")
    assert done.returncode == 1
    assert "the Spark session did not start" in done.stderr
    assert "Master must either be yarn or start with spark, k8s, or local" in done.stderr


def test_interrupt_ends_the_session_and_tells_what_was_done(
    project: Path, spark_profile: str
) -> None:
    waiting = project / "waiting"
    conf = f"spark.driver.extraJavaOptions={spark_profile}"
    with subprocess.Popen(
        [*COMMAND, "shop", "--conf", conf, "--select", "+behind"],
        cwd=project,
        env={**os.environ, "TRIAL": "wait", "WAITING": str(waiting)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        deadline = time.monotonic() + 120
        while not waiting.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        family = psutil.Process(process.pid).children(recursive=True)
        assert any("java" in member.name() for member in family)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "Interrupted" in out
    _, alive = psutil.wait_procs(family, timeout=60)
    assert alive == []
