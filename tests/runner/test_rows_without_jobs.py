"""Rows are counted, and emptiness is told, without a Spark job where files say it themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.runner.providers.files.row_peek import surely_has_rows
from kindling_airflow.runner.providers.publishing import footers
from kindling_airflow.runner.providers.publishing.footers import count_rows


@pytest.fixture
def jobs(spark: Any) -> Any:
    """Return how many Spark jobs a call has started."""
    tracker, group = spark.sparkContext.statusTracker(), "counted"

    def count(call: Any) -> tuple[Any, int]:
        spark.sparkContext.setJobGroup(group, "")
        before = len(tracker.getJobIdsForGroup(group))
        result = call()
        return result, len(tracker.getJobIdsForGroup(group)) - before

    return count


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_footers_of_few_files_count_without_a_job(
    spark: Any, tmp_path: Path, jobs: Any, rows: int
) -> None:
    folder = str(tmp_path / "a b%20ü#?")
    spark.range(rows).repartition(3).write.parquet(folder)
    frame = spark.read.parquet(folder.replace("?", "\\?"))
    assert jobs(lambda: count_rows(frame)) == (rows, 0)


def test_footers_of_partitions_are_added_up(spark: Any, tmp_path: Path, jobs: Any) -> None:
    folder = str(tmp_path / "t")
    spark.range(10).selectExpr("id", "id % 3 AS third").write.partitionBy("third").parquet(folder)
    frame = spark.read.schema("id BIGINT, third BIGINT").parquet(folder)
    assert jobs(lambda: count_rows(frame)) == (10, 0)


def test_many_files_are_counted_by_spark(
    spark: Any, tmp_path: Path, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footers, "_FEW", 2)
    spark.range(9).repartition(3).write.parquet(str(tmp_path / "t"))
    frame = spark.read.schema("id BIGINT").parquet(str(tmp_path / "t"))
    found, started = jobs(lambda: count_rows(frame))
    assert found == 9
    assert started > 0


def _csv(spark: Any, folder: Path, *texts: str, **options: str) -> tuple[Any, dict[str, str]]:
    folder.mkdir(exist_ok=True)
    for n, text in enumerate(texts):
        (folder / f"{n} ü.csv").write_text(text)
    said = {"header": "true", **options}
    return spark.read.options(**said).schema("id STRING").csv(str(folder)), said


@pytest.mark.parametrize(
    ("texts", "has"),
    [
        (("id\n1\n",), True),
        (("id\n1",), True),
        (("id\n\n   \n1\n",), True),
        (("id\n", "id\n2\n"), True),
        (("id\n",), False),
        (("",), False),
        (("id\n \n\n",), False),
    ],
)
def test_a_line_behind_the_header_is_a_row(
    spark: Any, tmp_path: Path, jobs: Any, texts: tuple[str, ...], has: bool
) -> None:
    frame, options = _csv(spark, tmp_path / "t", *texts)
    assert jobs(lambda: surely_has_rows(frame, options)) == (has, 0)
    assert frame.isEmpty() is not has


@pytest.mark.parametrize(
    "options", [{"comment": "#"}, {"multiLine": "true"}, {"mode": "DROPMALFORMED"}]
)
def test_where_a_line_may_be_no_row_spark_is_asked(
    spark: Any, tmp_path: Path, options: dict[str, str]
) -> None:
    frame, said = _csv(spark, tmp_path / "t", "id\n#1\n", **options)
    assert not surely_has_rows(frame, said)


def test_packed_files_and_lines_without_end_are_left_to_spark(spark: Any, tmp_path: Path) -> None:
    spark.range(3).write.option("compression", "gzip").json(str(tmp_path / "gz"))
    assert not surely_has_rows(spark.read.json(str(tmp_path / "gz")), {})
    frame, said = _csv(spark, tmp_path / "t", "i" * 100_000 + "\n1\n")
    assert not surely_has_rows(frame, said)
    spark.range(3).write.json(str(tmp_path / "plain"))
    assert surely_has_rows(spark.read.json(str(tmp_path / "plain")), {})
