"""The sample of streams, in process: what another engine computes of the same files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.manifest.harvest import import_declarations
from kindling_airflow.runner.session.runner import SessionPipeRunner
from tests.oracle.clicks_oracle import TABLES, expected_clicks
from tests.oracle.compare import differences

pytestmark = pytest.mark.system
PROJECT = Path(__file__).parents[2] / "dags" / "streams"
FILES, SIZE = 12, 250  # four minutes of clicks, more than are remembered is not tried here


@pytest.fixture
def drop(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PROJECT))
    from clicks.events import drop

    yield drop
    for name in [name for name in sys.modules if name.partition(".")[0] == "clicks"]:
        del sys.modules[name]


def test_files_that_come_in_parts_give_the_tables_of_all_of_them(
    spark: Any, tmp_path: Path, drop: Any
) -> None:
    """Each part is taken once, forward; a part that brings nothing changes nothing."""
    declared = import_declarations(PROJECT, ("clicks.entities", "clicks.pipes"))
    runner = SessionPipeRunner(spark, declared, str(tmp_path))
    statuses = []
    for part in (range(5), range(5, FILES), range(0)):
        for number in part:
            drop(tmp_path, number, SIZE)
        reports = [runner.catch_up(pipe_id) for pipe_id in TABLES]
        assert [report.error for report in reports] == [None] * len(TABLES)
        statuses.append([report.status for report in reports])
    assert statuses == [["published"] * 3, ["published"] * 3, ["skipped"] * 3]
    database = expected_clicks(tmp_path / "landing")
    assert database.table('"clicks.clean"').count("*").fetchall() == [(FILES * SIZE,)]
    assert database.table('"clicks.alerts"').count("*").fetchall() > [(0,)]
    found = {table: differences(tmp_path / table, database.table(f'"{table}"')) for table in TABLES}
    assert found == {table: [] for table in TABLES}


def test_the_same_numbers_give_the_same_clicks(tmp_path: Path, drop: Any) -> None:
    first, again = (drop(tmp_path / place, 7, 20).read_text() for place in ("a", "b"))
    assert first == again
    assert len(first.splitlines()) == 23
    assert [path.name for path in (tmp_path / "a" / "landing" / "clicks").iterdir()] == [
        "clicks-000007.json"
    ]
