"""``airflow kindling run PROJECT``: the plan on one local session, inside of an Airflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import ROOT

pytestmark = pytest.mark.system

FIRST = ROOT / "docs" / "examples" / "first_pipeline"


def test_it_shows_progress_and_the_summary(tmp_path: Path, spark_profile: str) -> None:
    folder = tmp_path / "my-pipelines"
    shutil.copytree(FIRST, folder, ignore=shutil.ignore_patterns("*.manifest.json", "__pycache__"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "airflow", "kindling", "run", "dags/orders"),
            *("--conf", f"spark.driver.extraJavaOptions={spark_profile}"),
            *("--conf", "spark.sql.shuffle.partitions=2"),
        ],
        cwd=folder,
        env={
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path / "home"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "COLUMNS": "120",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "Pipes" in done.stdout
    assert "2/2" in done.stdout
    assert "2 succeeded, 0 skipped, 0 failed, 0 not run in" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    pipes = [line for line in lines if "success" in line]
    assert {name for line in pipes for name in line if "." in name} >= {
        "silver.orders",
        "gold.revenue_by_day",
    }
    assert list((folder / "warehouse" / "gold.revenue_by_day").glob("*.parquet"))
