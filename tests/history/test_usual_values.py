"""The window of a pipe's last runs, and its usual values."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.common.run_figures import (
    MOST_RUNS,
    RunFigures,
    figures_of,
    window_document,
    window_of,
    with_run,
)
from kindling_airflow.history.usual_values import Usual


def run(day: int, seconds: float = 10.0, rows: int | None = 100, **more: Any) -> RunFigures:
    return RunFigures(f"run {day}", f"2026-01-{day:02}T00:00:00+00:00", seconds, rows=rows, **more)


def test_a_window_comes_back_from_its_document_as_it_was() -> None:
    runs = (
        run(1),
        run(2, rows=0, task_seconds=12.5, spill_bytes=7, shuffle_bytes=9, interval_seconds=86400.0),
    )
    assert window_of(window_document("a", runs)) == ("a", runs)


def test_a_run_that_is_cleared_counts_once_with_its_new_figures() -> None:
    window = with_run(with_run((run(1),), run(2, rows=5)), run(2, rows=6))
    assert [(r.run_id, r.rows) for r in window] == [("run 1", 100), ("run 2", 6)]


def test_a_backfilled_run_takes_its_place_in_the_order_of_dates() -> None:
    assert [r.run_id for r in with_run((run(1), run(3)), run(2))] == ["run 1", "run 2", "run 3"]


def test_the_oldest_run_drops_out_of_a_full_window() -> None:
    full = tuple(RunFigures(str(n), f"{n:03}", 1.0) for n in range(MOST_RUNS))
    window = with_run(full, RunFigures("new", "999", 1.0))
    assert (len(window), window[0].run_id, window[-1].run_id) == (MOST_RUNS, "1", "new")


@pytest.mark.parametrize(
    "document",
    [
        None,
        "s3://where/a/backend/keeps/it",
        {"runs": []},
        {"pipe_id": 7, "runs": []},
    ],
)
def test_what_is_not_a_window_has_no_pipe_and_no_runs(document: object) -> None:
    assert window_of(document) == ("", ())


@pytest.mark.parametrize(
    "item",
    [
        "run 1",
        {"run_id": "run 1", "at": "2026"},
        {"run_id": 1, "at": "2026", "seconds": 1.0},
        {"run_id": "run 1", "at": "2026", "seconds": "1"},
        {"run_id": "run 1", "at": "2026", "seconds": True},
        {"run_id": "run 1", "seconds": 1.0},
    ],
)
def test_a_run_that_cannot_be_read_is_left_out(item: object) -> None:
    good = window_document("a", [run(2)])["runs"]
    assert window_of({"pipe_id": "a", "runs": [item, *good]}) == ("a", (run(2),))


def test_a_window_without_a_list_has_no_runs() -> None:
    assert window_of({"pipe_id": "a", "runs": 3}) == ("a", ())


def test_figures_are_those_of_a_report() -> None:
    report = {
        "duration_seconds": 9.5,
        "rows_written": 3,
        "extra": {"spark": {"spill_bytes": 1, "shuffle_bytes": 2}},
    }
    assert figures_of(report, "r", "2026", 12.34567, 60.0) == RunFigures(
        "r", "2026", 9.5, 12.346, 3, 1, 2, 60.0
    )


def test_figures_of_a_report_without_sparks_are_unknown() -> None:
    found = figures_of({"duration_seconds": 9, "rows_written": 3, "extra": {}}, "r", "2026")
    assert (found.spill_bytes, found.shuffle_bytes) == (None, None)


def test_usual_values_are_medians_that_one_odd_run_does_not_move() -> None:
    usual = Usual.of([run(1, 10, 100), run(2, 12, 110), run(3, 500, 1)])
    assert usual is not None
    assert (usual.seconds.median, usual.seconds.mad, usual.seconds.count) == (12, 2, 3)
    assert usual.rows is not None
    assert usual.rows.median == 100
    assert (usual.task_seconds, usual.spill_bytes) == (None, None)
    assert usual.last.run_id == "run 3"
    assert usual.to_json()["rows"] == {"median": 100, "mad": 10, "count": 3}


def test_without_runs_nothing_is_usual() -> None:
    assert Usual.of([]) is None
