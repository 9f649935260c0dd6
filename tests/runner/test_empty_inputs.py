"""Inputs that are empty, that are missing, and that are gone: files, queries, own outputs."""

from __future__ import annotations

import itertools
import shutil
from typing import Any

import pytest

from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.runner.session.runner import SessionPipeRunner
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

SKIPS = {"on_empty_input": "skip"}


def view(project: Project, pipe_id: str, sql: str, **declaration: Any) -> None:
    with DataPipes.declaring_into(project.declared.pipes):
        DataPipes.view(pipe_id, sql=sql, **declaration)


def table(project: Project, name: str, count: int) -> None:
    """Let an outside table have so many numbers."""
    project.entity(name)
    project.spark.range(count).write.mode("overwrite").parquet(str(project.table(name)))


def land(project: Project, kind: str, text: str | None, schema: str | None) -> None:
    folder = project.warehouse / "landing"
    folder.mkdir()
    if text is not None:
        (folder / "rows").write_text(text)
    tags = {"provider_type": kind, "provider.path": "landing"}
    project.entity("raw", tags=tags, schema=schema)
    project.pipe("out", lambda raw: raw.select("id"), "raw")


@pytest.mark.parametrize(
    ("kind", "text", "schema"),
    [
        ("csv", "id,name\n", None),
        ("csv", "id,name\n", "id STRING, name STRING"),
        ("csv", "", "id STRING, name STRING"),
        ("csv", None, "id STRING, name STRING"),
        ("json", "", "id STRING, name STRING"),
    ],
)
def test_files_without_rows_are_a_value(
    project: Project, kind: str, text: str | None, schema: str | None
) -> None:
    table(project, "out", 3)
    land(project, kind, text, schema)
    report = project.run("out")
    assert (report.status, report.rows_written, report.error) == ("published", 0, None)
    assert project.rows("out") == []


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_folder_in_which_no_file_has_landed_yet_is_a_missing_input(
    project: Project, kind: str
) -> None:
    land(project, kind, None, None)
    report = project.run("out")
    assert report.status == "skipped"
    assert report.reason.startswith("'raw' does not exist yet at ")


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_where_nothing_shows_the_columns_the_error_says_what_to_declare(
    project: Project, kind: str
) -> None:
    land(project, kind, "", None)
    report = project.run("out")
    assert report.error is not None
    assert report.error.message == (
        "pipe 'out': input 'raw' exists, but its columns are unknown: it has no files, or only "
        "empty ones, and no declared schema\n"
        "  Fix: declare the entity's schema, or have the pipe skipped (on_empty_input: skip)."
    )
    assert report.extra["permanent"] is False  # files may come
    project.pipe("skips", lambda raw: raw, "raw", tags=SKIPS)
    skipped = project.run("skips")
    assert (skipped.status, skipped.reason) == ("skipped", "'raw' has no rows")


def test_a_frame_of_no_rows_and_without_a_schema_is_an_error_that_says_so(project: Project) -> None:
    def makes_none(run: Any) -> Any:
        return run.spark.createDataFrame([])

    project.pipe("out", makes_none)
    report = project.run("out")
    assert report.error is not None
    assert report.error.message == (
        "pipe 'out' creates a DataFrame without rows and without a schema; Spark infers a schema "
        "only from rows, also for pandas DataFrames\n"
        "  Fix: pass the schema: spark.createDataFrame(rows, 'id BIGINT, name STRING')."
    )
    assert "in makes_none" in report.error.traceback
    assert report.extra["permanent"] is True


QUERIES = {
    "in a CTE": (
        "WITH gone AS (SELECT id FROM excluded) "
        "SELECT id FROM orders WHERE id NOT IN (SELECT id FROM gone)"
    ),
    "in a subquery": "SELECT id FROM orders WHERE id NOT IN (SELECT id FROM excluded)",
    "first": "SELECT o.id FROM excluded e RIGHT JOIN orders o ON o.id = e.id WHERE e.id IS NULL",
}


@pytest.mark.parametrize("sql", QUERIES.values(), ids=QUERIES)
def test_an_empty_table_of_a_query_keeps_it_from_nothing(project: Project, sql: str) -> None:
    table(project, "orders", 3)
    table(project, "excluded", 0)
    view(project, "left", sql)
    assert project.run("left").status == "published"
    assert project.rows("left") == [(0,), (1,), (2,)]


@pytest.mark.parametrize("missing", ["orders", "excluded"])
@pytest.mark.parametrize("sql", [QUERIES["in a CTE"], QUERIES["in a subquery"]])
def test_an_outside_table_that_is_missing_skips_a_query_wherever_it_is_named(
    project: Project, missing: str, sql: str
) -> None:
    table(project, "excluded" if missing == "orders" else "orders", 3)
    project.entity(missing)
    view(project, "left", sql)
    report = project.run("left")
    told = f"{missing!r} does not exist yet at {str(project.table(missing))!r}"
    assert (report.status, report.reason) == ("skipped", told)


@pytest.mark.parametrize("sql", [QUERIES["in a CTE"], QUERIES["in a subquery"]])
@pytest.mark.parametrize("gone", ["orders", "excluded"])
def test_a_table_of_the_project_that_is_gone_fails_a_query_wherever_it_is_named(
    project: Project, gone: str, sql: str
) -> None:
    table(project, "orders", 3)
    table(project, "excluded", 3)
    project.pipe("excluded", lambda: project.spark.range(1))
    project.pipe("orders", lambda: project.spark.range(1))
    view(project, "left", sql)
    shutil.rmtree(project.table(gone))
    run = SessionPipeRunner(project.spark, project.declared, str(project.warehouse))
    report = run("left")
    assert report.error is not None
    assert f"input {gone!r} does not exist" in report.error.message
    assert f"Fix: run pipe {gone!r} first" in report.error.message


def test_a_query_that_names_its_own_output_first_does_not_wait_for_it(project: Project) -> None:
    table(project, "orders", 3)
    sql = "SELECT n FROM {} UNION ALL SELECT count(*) AS n FROM orders"
    view(project, "bare", sql.format("bare"))
    error = project.run("bare").error
    assert error is not None
    assert error.message.endswith(
        "Fix: declare the entity's schema, so that the first run can start from an empty table."
    )
    project.entity("total", schema="n BIGINT")
    view(project, "total", sql.format("total"))
    assert [project.run("total").rows_written for _ in "ab"] == [1, 2]


@pytest.mark.parametrize(("orders", "excluded"), itertools.product((0, 2), repeat=2))
def test_a_query_that_skips_empty_inputs_is_skipped_where_all_are_empty(
    project: Project, orders: int, excluded: int
) -> None:
    table(project, "orders", orders)
    table(project, "excluded", excluded)
    view(project, "left", QUERIES["in a CTE"], tags=SKIPS)
    report = project.run("left")
    assert report.status == ("published" if orders or excluded else "skipped")
    if report.status == "skipped":
        assert report.reason == "'excluded' has no rows; 'orders' has no rows"


def test_any_driving_input_that_is_missing_is_waited_for(project: Project) -> None:
    table(project, "a", 2)
    both = {"driving_entity_ids": ["a", "b"]}
    project.pipe("out", lambda a, b: a.union(b), "a", "b", **both)
    report = project.run("out")
    assert (report.status, report.reason.split(" ")[0]) == ("skipped", "'b'")
    table(project, "b", 0)
    assert project.run("out").rows_written == 2
