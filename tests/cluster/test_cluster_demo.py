"""``make cluster-demo`` ends well: every table on s3a is what DuckDB computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.oracle.flights_oracle import TABLES

pytestmark = [pytest.mark.system, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]


def test_every_table_of_flights_on_s3a_is_what_duckdb_computes(tmp_path: Path) -> None:
    (tmp_path / "dags").symlink_to(ROOT / "dags")
    ran = subprocess.run(
        [sys.executable, "-m", "demo.cluster"],
        cwd=tmp_path,
        env={**os.environ, "DEMO_ONCE": "1", "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"{ran.stdout[-5000:]}\n{ran.stderr[-5000:]}"
    rows = [line.split("│")[1:-1] for line in ran.stdout.splitlines() if line.startswith("│")]
    compared = {cells[0].strip(): cells[-1].strip() for cells in rows if len(cells) == 3}
    assert compared == dict.fromkeys(TABLES, "none")
    assert "worker-1: " in ran.stdout
    assert "worker-2: " in ran.stdout
