"""The pages of plan and tables with Airflow's database on PostgreSQL: all that is so on SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.services import Postgres
from tests.nested import assert_tests_pass

pytestmark = [pytest.mark.system, pytest.mark.cluster]
PAGES = Path(__file__).resolve().parents[1] / "plugin" / "pages"
FILES = ("test_access.py", "test_catalog.py", "test_page.py", "test_refresh.py")


def test_pages_and_their_refreshes_are_as_on_sqlite(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgres") as server:
        server.create_database("airflow")
        address = server.sqlalchemy_url("airflow")
        assert_tests_pass([PAGES / name for name in FILES], KINDLING_TEST_DATABASE=address)
        assert int(server.sql("SELECT count(*) FROM dag_run", "airflow")[0]) > 0
