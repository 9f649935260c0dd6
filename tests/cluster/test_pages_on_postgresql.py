"""The pages of plan and tables with Airflow's database on PostgreSQL: all that is so on SQLite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.services import Postgres

pytestmark = [pytest.mark.system, pytest.mark.cluster]
ROOT = Path(__file__).resolve().parents[2]
FILES = ("test_access.py", "test_catalog.py", "test_page.py", "test_refresh.py")


def test_pages_and_their_refreshes_are_as_on_sqlite(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgres") as server:
        server.create_database("airflow")
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *(str(ROOT / "tests" / "plugin" / "pages" / name) for name in FILES),
            ],
            cwd=ROOT,
            env={**os.environ, "KINDLING_TEST_DATABASE": server.sqlalchemy_url("airflow")},
            capture_output=True,
            text=True,
            check=False,
        )
        tables = server.sql("SELECT count(*) FROM dag_run", "airflow")
    assert ran.returncode == 0, ran.stdout[-20_000:]
    assert int(tables[0]) > 0
    print(ran.stdout.splitlines()[-1])
