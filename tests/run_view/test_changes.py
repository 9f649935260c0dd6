"""What a page is told of the tasks of a run."""

from __future__ import annotations

import json
from typing import Any

from kindling_airflow.run_view.changes import Cursor, Found, changed_tasks, document_of
from kindling_airflow.run_view.details import details_of

REPORT = {
    "status": "published",
    "rows_written": 7,
    "inputs": [{"entity_id": "a", "rows": 5}, {"entity_id": "b", "rows": None}, 3],
    "expectations": [{"outcome": "passed"}, {"outcome": "warned"}],
}


def row(name: str, key: str | None = None, value: Any = None, state: str = "success") -> Found:
    return Found(name, state, 1, 10, 20, 30, key, value)


def told(*rows: Found, **more: Any) -> tuple[list[list[Any]], str | None]:
    return changed_tasks(rows, report_key="report", progress_key="progress", **more)


def test_a_task_is_told_with_the_figures_of_its_report() -> None:
    tasks, last = told(row("a", "report", json.dumps(REPORT)), row("b"))
    assert tasks == [
        ["a", "success", 1, 10, 20, 30, 5, 7, 1, "published"],
        ["b", "success", 1, 10, 20, 30],
    ]
    assert last is None


def test_nothing_that_a_report_leaves_out_is_made_up() -> None:
    report = {"inputs": [{"rows": None}], "rows_written": "many", "status": ["odd"]}
    (task,), _ = told(row("a", "report", report))
    assert task[6:] == [None, None, 0, '["odd"]']


def test_a_stream_is_told_with_its_progress() -> None:
    progress = {"state": "ready", "batch_id": 3, "rows_in": 9, "lag": {"p": 1}, "at": "x" * 99}
    (task,), _ = told(row("s", "progress", progress, "running"))
    assert task[10] == ["ready", 3, 9, None, '{"p": 1}', "x" * 80]


def test_an_answer_ends_where_it_gets_too_large_and_the_next_goes_on_there() -> None:
    rows = [row(f"task_{n}") for n in range(9)]
    tasks, last = told(*rows, most_bytes=100)
    assert last == tasks[-1][0] == "task_1"
    assert told(rows[0], most_bytes=1)[1] is None
    assert told(*rows, most_bytes=None)[1] is None


def test_a_task_that_the_database_may_have_cut_is_left_for_the_next_answer() -> None:
    tasks, last = told(row("a"), row("b", "report", {}), is_cut=True)
    assert [task[0] for task in tasks] == ["a"]
    assert last == "a"
    assert told(row("a"), is_cut=True)[1] == "a"
    assert told(is_cut=True) == ([], None)


def test_a_sweep_ends_and_the_next_one_begins_a_while_before_it() -> None:
    first = Cursor().starting(1_000_000)
    assert first == Cursor(0, "", 1_000_000)
    second = first.behind("m")
    assert second.starting(1_002_000) == second == Cursor(0, "m", 1_000_000)
    assert second.behind(None) == Cursor(985_000, "", 0)


def test_what_another_backend_stored_is_no_document() -> None:
    assert document_of("s3://bucket/key") == {}
    assert document_of('"text"') == {}
    assert document_of(None) == {}
    assert document_of('{"a": 1}') == {"a": 1}


def test_details_show_no_secret_and_no_endless_text() -> None:
    found = details_of(
        {
            "location": "s3a://user:hunter2secret@bucket/t",
            "error": {"type": "E", "message": "password=hunter2 " + "x" * 9_999},
            "inputs": [{"entity_id": "a", "rows": 1}, 5],
            "expectations": [{"name": "n", "outcome": "failed", "expects": "e", "violations": 1}],
            "extra": {"slices_read": {"a": "day 1"}, "slice_written": "day 2"},
        },
        {"lag": 5},
    )
    assert "hunter2" not in json.dumps(found)
    assert found["inputs"] == [["a", 1, "day 1"]]
    assert found["slice"] == "day 2"
    assert found["expectations"] == [["n", "failed", "e", 1, None]]
    assert found["stream"] == [["lag", "5"]]
    assert len(found["error"][1]) < 2_100


def test_a_pipe_without_a_report_has_empty_details() -> None:
    found = details_of({"extra": "odd", "inputs": "odd"}, {})
    assert found["error"] == found["inputs"] == found["stream"] == []
    assert found["reason"] == ""
