"""What a stream sees of a parquet table that batch pipes write, by each write mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kindling_airflow.tags.names import COLUMN_TAG, WRITE_MODE_TAG
from tests.runner.conftest import Project
from tests.runner.streams import STREAMING, ids, refusal, take_available, taken

DAYS = "id BIGINT, day DATE"


def declare(project: Project, mode: str, rows: list[str]) -> None:
    """Declare a table that runs write, and a stream that copies it."""
    sliced = mode == "overwrite_interval"
    project.entity(
        "orders",
        schema=DAYS,
        tags={WRITE_MODE_TAG: mode, **({COLUMN_TAG: "day"} if sliced else {})},
        partition_columns=["day"] if sliced else [],
    )
    project.entity("copies", schema="id BIGINT")
    spark = project.spark
    project.pipe("orders", lambda: spark.sql(f"SELECT * FROM VALUES {rows[0]} AS t(id, day)"))
    project.pipe("copies", lambda orders: orders.select("id"), "orders", tags=STREAMING)


def order(n: int) -> str:
    return f"({n}L, DATE '2013-01-0{n}')"


def publish(project: Project, run: str, **changes: Any) -> None:
    report = project.run("orders", run_id=run, **changes)
    assert report.status == "published", report.error


def test_appended_rows_come_once_but_a_run_that_is_done_again_brings_its_own_again(
    project: Project,
) -> None:
    """Its files are replaced by new ones, and a stream of files knows files."""
    rows = [order(1)]
    declare(project, "append", rows)
    assert take_available(project, "copies").status == "skipped"
    publish(project, "run 1")
    assert taken(project, "copies").inputs[0].rows == 1
    rows[0] = order(2)
    publish(project, "run 2")
    assert taken(project, "copies").inputs[0].rows == 1
    assert ids(project, "copies") == [1, 2]
    publish(project, "run 2")
    taken(project, "copies")
    assert ids(project, "copies") == [1, 2, 2]


def refused(project: Project) -> str:
    location = str(Path(project.warehouse) / "orders")
    return (
        f"entity 'orders': runs replace files of the table at {location!r}; a stream that reads it "
        "would read rows again, and miss files that it was about to read\n"
        "  Fix: let its runs append (write_mode: append), or store the table as delta or iceberg."
    )


def test_a_table_that_runs_replace_is_refused(project: Project) -> None:
    declare(project, "overwrite", [order(1)])
    publish(project, "run 1")
    assert refusal(project, "copies") == refused(project)


def test_a_table_whose_slices_runs_replace_is_refused(project: Project) -> None:
    declare(project, "overwrite_interval", [order(1)])
    publish(project, "run 1")
    assert refusal(project, "copies") == refused(project)
