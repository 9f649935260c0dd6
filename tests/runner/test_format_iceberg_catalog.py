"""Iceberg in a catalog on PostgreSQL, in a process whose Spark has the jars."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.services import Postgres
from tests.runner.formats.own_process import assert_format_holds

pytestmark = pytest.mark.system


def test_what_is_tested_of_the_format_holds_in_a_catalog(tmp_path: Path) -> None:
    with Postgres(tmp_path / "postgres") as database:
        database.create_database("lake")
        address = f"{database.jdbc_url('lake')}?user={database.user}"
        assert_format_holds("iceberg+postgresql", KINDLING_TEST_CATALOG=address)
