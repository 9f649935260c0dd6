"""A run that appended no rows leaves nothing to take, until it is run again and has some."""

from __future__ import annotations

from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR, PublishLog
from kindling_airflow.runner.providers.publishing.sliced_table import Group, SlicedTable
from tests.runner.dying_files import DyingFiles


def test_late_rows_of_a_run_without_rows_are_still_to_be_taken() -> None:
    files = DyingFiles()
    log, copy = SlicedTable(files, "/w/log"), SlicedTable(files, "/w/copy")

    def append(run: str, attempt: str, *, is_empty: bool) -> None:
        staged = f"/w/_kindling/staging/log/{run}-{attempt}"
        files.write_text(f"{staged}/part-{attempt}.parquet", "" if is_empty else "rows")
        files.write_text(f"{staged}/{SIDECAR}", "schema")
        published = PublishLog(files, "/w/log", pause=lambda: None, patience=1)
        published.commit(lambda: log.appended(staged, attempt, None, run, {}, is_empty=is_empty))

    append("one", "a1", is_empty=False)
    append("two", "a2", is_empty=True)
    assert set(log.gained("log", copy, "reader")) == {"one"}
    append("two", "a3", is_empty=False)
    assert set(log.gained("log", copy, "reader")) == {"one", "two"}


def test_groups_of_older_releases_have_rows() -> None:
    assert not Group.loads('{"attempt": "a", "files": ["f"], "taken": {}}').is_empty
    for is_empty in (False, True):
        group = Group("a", ("f",), {}, is_empty)
        assert Group.loads(group.dumps()) == group
