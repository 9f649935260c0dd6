"""What Spark passes over counts nowhere; what it reads is never lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_pipes.expectations import not_null
from kindling_airflow.runner.providers.parquet.stream import has_data
from kindling_airflow.runner.providers.publishing.footers import count_rows
from kindling_airflow.runner.providers.publishing.hidden_names import (
    has_hidden_part,
    is_hidden,
)
from kindling_airflow.runner.providers.storage import Storage
from tests.runner.conftest import Project
from tests.runner.streams import EVENTS, STREAMING, drop, events, refusal

pytestmark = pytest.mark.system

NAMES = st.text(alphabet="_.=aCOPYING", min_size=1, max_size=14) | st.sampled_from(
    ["_day=1", ".day=1", "_metadata", "_common_metadata", "_metadata=1", "a._COPYING_", "_SUCCESS"]
)


def test_hidden_is_what_spark_passes_over(spark: Any) -> None:
    listing = spark._jvm.org.apache.spark.util.HadoopFSUtils

    @given(NAMES)
    def agrees(name: str) -> None:
        # What is listed and is no data: files of metadata that other tools leave.
        data = not ((name.startswith("_") and "=" not in name) or name.startswith("."))
        assert is_hidden(name) is (listing.shouldFilterOutPathName(name) or not data)

    agrees()


def test_a_file_is_hidden_by_any_part_of_its_path() -> None:
    assert has_hidden_part("a=1/.b=2/part-0.parquet")
    assert has_hidden_part("_temporary/0/part-0.parquet")
    assert not has_hidden_part("_a=1/b=_2/part-0.parquet")


@pytest.mark.parametrize(
    ("file", "size", "is_data"),
    [
        ("part-0", 1, True),
        ("_day=1/part-0", 1, True),
        ("a=1/b=2/part-0", 1, True),
        ("part-0", 0, False),
        (".day=1/part-0", 1, False),
        ("_temporary/part-0", 1, False),
        ("a=1/_b", 1, False),
        ("a=1/b=x._COPYING_/part-0", 1, False),
        ("_metadata", 1, False),
    ],
)
def test_a_folder_has_data_where_spark_would_read_some(
    spark: Any, tmp_path: Path, file: str, size: int, is_data: bool
) -> None:
    path = tmp_path / "table" / file
    path.parent.mkdir(parents=True)
    path.write_text("x" * size)
    assert has_data(Storage(spark), str(tmp_path / "table")) is is_data
    rows = spark.read.format("text").load(str(tmp_path / "table"))
    assert rows.isEmpty() is not is_data


def test_a_folder_that_is_missing_has_no_data(spark: Any, tmp_path: Path) -> None:
    assert not has_data(Storage(spark), str(tmp_path / "nowhere"))


def test_rows_are_counted_in_the_files_that_spark_reads(spark: Any, tmp_path: Path) -> None:
    table = tmp_path / "table"
    spark.range(3).coalesce(1).write.parquet(str(table))
    [part] = table.glob("part-*")
    for name in ("_metadata", "_common_metadata", ".part-0.parquet", "part-1._COPYING_"):
        shutil.copy(part, table / name)
    (table / "part-2.parquet").write_bytes(b"")
    rows = spark.read.parquet(str(table))
    assert count_rows(rows) == rows.count() == 3


@pytest.mark.parametrize("mode", ["overwrite", "overwrite_interval", "append"])
def test_partition_columns_may_begin_with_an_underscore(project: Project, mode: str) -> None:
    tags = {"write_mode": mode}
    project.entity("out", partition_columns=["_day", "_n"], tags=tags | _column(mode))
    sql = "SELECT * FROM VALUES (1, '2013-01-01', 7), (2, '2013-01-02', 8) AS t(id, _day, _n)"
    project.pipe("out", lambda: project.spark.sql(sql))
    project.pipe("copy", lambda out: out, "out")
    for _ in range(2):
        report = project.run("out")
        assert (report.status, report.rows_written) == ("published", 2)
        assert project.run("copy").rows_written == 2
        assert project.rows("copy") == [(1, "2013-01-01", 7), (2, "2013-01-02", 8)]


def _column(mode: str) -> dict[str, str]:
    return {"interval.column": "_day"} if mode == "overwrite_interval" else {}


def test_dropped_rows_of_such_a_table_are_counted(project: Project) -> None:
    project.entity("out", partition_columns=["_day"])
    project.pipe(
        "out",
        lambda: project.spark.sql("SELECT * FROM VALUES (1, 'a'), (NULL, 'b') AS t(id, _day)"),
        expectations=[not_null("id", on_violation="drop")],
    )
    report = project.run("out")
    assert (report.status, report.rows_written) == ("published", 1)
    assert [e.violations for e in report.expectations] == [1]


def test_a_partition_column_that_spark_would_hide_is_refused_by_name(project: Project) -> None:
    project.entity("out", partition_columns=[".day"])
    project.pipe("out", lambda: project.spark.sql("SELECT 1 AS id, 'a' AS `.day`"))
    report = project.run("out")
    assert report.error is not None
    assert report.error.message == (
        "entity 'out': partition column '.day' begins with a dot; Spark ignores folders with "
        "such names, so all rows would be lost\n  Fix: rename the column."
    )


def test_a_stream_does_not_take_over_a_table_with_such_partitions(project: Project) -> None:
    project.entity("out", partition_columns=["_day"])
    sql = "SELECT 1L AS id, TIMESTAMP'2026-01-01 00:00:00' AS at, 'a' AS shop, 'x' AS _day"
    project.pipe("out", lambda: project.spark.sql(sql))
    assert project.run("out").rows_written == 1
    drop(project.table("events"), "1.json", events(range(2)))
    other = Project(project.spark, project.warehouse, _emptied(project))
    other.entity("events", schema=EVENTS, tags={"provider_type": "json"})
    other.entity("out", partition_columns=["_day"])
    other.pipe(
        "out", lambda events: events.selectExpr("*", "'x' AS _day"), "events", tags=STREAMING
    )
    assert "has rows that were not written by a stream" in refusal(other, "out")


def _emptied(project: Project) -> Any:
    from dataclasses import replace

    from kindling_airflow.data_entities import DataEntityRegistry
    from kindling_airflow.data_pipes import DataPipesRegistry

    return replace(project.declared, pipes=DataPipesRegistry(), entities=DataEntityRegistry())
