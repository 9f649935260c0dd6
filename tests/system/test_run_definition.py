"""``kindling-airflow run`` of a definition: what it says holds here as it does on Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

pytestmark = pytest.mark.system

COMMAND = (sys.executable, "-m", "kindling_airflow.cli.main")
PIPES = """\
import json, os

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw",
    tags={"provider_type": "csv", "provider.path": "raw.csv"},
    schema="id BIGINT, kind STRING",
)
DataEntities.entity(entityid="log", tags={"write_mode": "append"})
DataEntities.entity(entityid="never", tags={"write_mode": "append"})


def pipe(name, *inputs, **tags):
    return DataPipes.pipe(name, input_entity_ids=list(inputs), output_entity_id=name, tags=tags)


def louder(text):
    return text.upper()


def pick(text):
    return {}[text]


@pipe("log", "raw")
def log(raw):
    return raw


@pipe("never", "raw")
def never(raw):
    return raw


@pipe("loud", "raw")
def loud(raw):
    from pyspark.sql import functions as F

    return raw.select("id", F.udf(louder)("kind").alias("kind"))


@pipe("picked", "raw")
def picked(raw):
    from pyspark.sql import functions as F

    return raw.select(F.udf(pick)("kind").alias("x"))


@pipe("month", "raw")
def month(raw):
    return raw[{}["month"]]


@pipe("after_month", "month", "raw")
def after_month(month, raw):
    return raw


def tried(name):
    with open(f"{name}.tries", "a") as tries:
        tries.write("x")
    return os.path.getsize(f"{name}.tries")


@pipe("flaky", "raw")
def flaky(raw):
    if tried("flaky") < 3:
        raise OSError("not yet")
    return raw


@pipe("stubborn", "raw", **{"retry.attempts": 5})
def stubborn(raw):
    tried("stubborn")
    raise OSError("never")


@pipe("facts", "raw")
def facts(raw, run):
    memory = run.spark._jvm.java.lang.Runtime.getRuntime().maxMemory() // 2**20
    zone = run.spark.conf.get("spark.sql.session.timeZone")
    said = {
        "env": os.environ.get("TRIAL"),
        "memory": memory,
        "zone": zone,
        "parameters": dict(run.parameters),
        "interval": [str(run.interval_start), str(run.interval_end)],
        "run_id": run.run_id,
    }
    with open("facts.json", "w") as file:
        json.dump(said, file)
    return raw
"""
DEFINITION = """\
dag_id: shop
project: shop
exclude: never
timezone: Europe/Zurich
on_error: continue
retries: 2
retry_delay_seconds: 0.1
on_failure_callback: pipes:louder
params:
  region: EU
  days: {default: 7, type: integer, minimum: 1}
spark:
  driver_memory: 700m
  conf: {spark.sql.session.timeZone: Asia/Tokyo}
  env_vars: {TRIAL: by the definition}
overrides:
  stubborn: {retries: 0}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "pipes.py").write_text(PIPES)
    (tmp_path / "shop.kindling.yaml").write_text(DEFINITION)
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse" / "raw.csv").write_text("id,kind\n1,a\n2,b\n")
    return tmp_path


def _run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "run", "shop.kindling.yaml", *arguments],
        cwd=project,
        env={**os.environ, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _rows(project: Path, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    files = project / "warehouse" / table / "*.parquet"
    return duckdb.sql(f"SELECT {columns} FROM '{files}' ORDER BY ALL").fetchall()


def test_what_a_definition_says_holds_in_one_process(project: Path) -> None:
    done = _run(project, "--json", "--exclude", "picked", "-j", "2")
    assert done.returncode == 1, done.stderr
    assert "note: on_failure_callback: ignored in this run" in done.stderr
    result = json.loads(done.stdout)
    pipes = {p["pipe_id"]: p for g in result["generations"] for p in g["pipes"]}
    tries = {pipe_id: (pipe["status"], pipe["attempts"]) for pipe_id, pipe in pipes.items()}
    after = tries.pop("after_month")
    assert after[0] != "not_run"  # on_error: continue
    assert tries == {
        "log": ("success", 1),
        "loud": ("success", 1),
        "month": ("failed", 3),
        "flaky": ("success", 3),
        "stubborn": ("failed", 1),
        "facts": ("success", 1),
    }
    assert _rows(project, "loud") == [(1, "A"), (2, "B")]
    facts = json.loads((project / "facts.json").read_text())
    assert 600 <= facts.pop("memory") <= 700
    assert facts.pop("run_id") == result["run_id"]
    assert facts == {
        "env": "by the definition",
        "zone": "Asia/Tokyo",
        "parameters": {"region": "EU", "days": 7},
        "interval": ["None", "None"],
    }


def test_what_is_appended_stays_unless_the_run_is_the_same_one(project: Path) -> None:
    """On Airflow each run by hand appends; an interval that is run again replaces its rows."""
    for _ in range(2):
        assert _run(project, "--select", "log").returncode == 0
    assert _rows(project, "log", "count(*)") == [(4,)]
    for _ in range(2):
        day = ("--interval", "2026-03-29", "2026-03-30")
        done = _run(project, "--select", "log facts", *day, "--param", "region=US")
        assert done.returncode == 0, done.stderr
    assert _rows(project, "log", "count(*)") == [(6,)]
    facts = json.loads((project / "facts.json").read_text())
    assert facts["parameters"] == {"region": "US", "days": 7}
    # A day of Zurich, of 23 hours; in UTC, as from Airflow.
    assert facts["interval"] == ["2026-03-28 23:00:00+00:00", "2026-03-29 22:00:00+00:00"]


def test_a_failure_has_its_class_and_its_line(project: Path) -> None:
    done = _run(project, "--select", "month picked", "--retries", "0")
    assert done.returncode == 1, done.stderr
    place = project / "shop" / "pipes.py"
    lines = PIPES.splitlines()
    month, picked = (
        next(n for n, line in enumerate(lines, 1) if text in line)
        for text in ('{}["month"]', "{}[text]")
    )
    assert f"month: failed: KeyError: 'month'\n  at {place}:{month}, in month\n" in done.stdout
    assert "picked: failed: PythonException: KeyError: 'a'\n" in done.stdout
    assert f"  at {place}:{picked}, in pick\n" in done.stdout
    assert "To re-run it as the same run: --run-id 'run of shop.kindling.yaml at " in done.stdout


@pytest.mark.parametrize("rule", ["fail", "run_after"])
def test_a_run_without_the_interval_that_it_must_have_replaces_nothing(
    project: Path, rule: str
) -> None:
    text = f"{DEFINITION}on_missing_interval: {rule}\nschedule: '@daily'\nstart_date: 2026-01-01\n"
    (project / "shop.kindling.yaml").write_text(text)
    done = _run(project)
    assert done.returncode == 2
    assert f"sets on_missing_interval: {rule}, and this run has no data interval" in done.stderr
    assert [path.name for path in (project / "warehouse").iterdir()] == ["raw.csv"]


def test_a_parameter_that_airflow_would_refuse_is_refused(project: Path) -> None:
    done = _run(project, "--param", "days=0")
    assert done.returncode == 2
    assert "--param days=0: violates the parameter's schema" in done.stderr
