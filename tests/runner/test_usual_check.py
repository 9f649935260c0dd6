"""What a run adds to its report: unusual figures, Spark's figures, lineage."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.runner.pipe.spark_figures import spark_figures
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

PAST = {"runs": tuple((1000.0, 1000, 0.0) for _ in range(5))}


def test_a_run_of_unusual_size_says_so_and_publishes(project: Project) -> None:
    project.pipe("out", lambda: project.spark.range(3))
    report = project.run("out", usual=PAST)
    assert (report.status, report.rows_written) == ("published", 3)
    assert report.extra["unusual"] == (
        "unusually few rows: 3; usual are 1,000 (median of 5 runs, median deviation 0.0)",
    )
    assert "unusual" not in project.run("out").extra


def test_one_that_is_to_fail_leaves_the_table_as_it_was(project: Project) -> None:
    counts = [1000, 3]
    project.pipe("out", lambda: project.spark.range(counts.pop(0)), tags={"unusual.rows": "fail"})
    assert project.run("out", usual=PAST).status == "published"
    report = project.run("out", usual=PAST)
    assert report.status == "failed"
    assert report.error is not None
    assert (report.error.type, report.error.message) == (
        "UnusualRunError",
        (
            "pipe 'out': unusually few rows: 3; usual are 1,000 (median of 5 runs, median "
            "deviation 0.0); nothing was published\n"
            "  Fix: look at what the run has read. If it is right, run the task again with the tag "
            "unusual.rows set to 'warn'."
        ),
    )
    assert report.extra["permanent"] is True
    assert len(project.rows("out")) == 1000


def test_a_slow_run_that_is_to_fail_is_not_published_and_may_be_retried(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.pipe("out", lambda: project.spark.range(3), tags={"unusual.duration": "fail"})
    past = {"runs": tuple((1000.0, 3, 0.0) for _ in range(5))}
    assert project.run("out", usual=past).status == "published"
    began = time.monotonic
    monkeypatch.setattr(
        "kindling_airflow.runner.pipe.run_pipe._since", lambda started: began() - started + 6000.0
    )
    report = project.run("out", usual=past)
    assert report.error is not None
    assert "unusually long: 6," in report.error.message
    assert report.extra["permanent"] is False


def test_figures_are_those_of_the_jobs_of_a_group(project: Project) -> None:
    spark = project.spark
    spark.sparkContext.setJobGroup("figures of one", "")
    spark.range(1000).repartition(3, "id").collect()
    found = spark_figures(spark)
    assert found["shuffle_bytes"] > 0
    assert found["spill_bytes"] == 0
    spark.sparkContext.setJobGroup("figures of another", "")
    assert spark_figures(spark) == {"spill_bytes": 0, "shuffle_bytes": 0}
    spark.sparkContext._jsc.clearJobGroup()


def test_a_report_has_sparks_figures_the_mode_and_the_interval(project: Project) -> None:
    project.pipe("out", lambda: project.spark.range(100).groupBy("id").count())
    interval = {
        "interval_start": "2026-01-01T00:00:00+00:00",
        "interval_end": "2026-01-02T00:00:00+00:00",
    }
    project.spark.sparkContext.setJobGroup(
        "a report", ""
    )  # other tests have run hundreds of stages
    extra = project.run("out", **interval).extra
    project.spark.sparkContext._jsc.clearJobGroup()
    assert extra["spark"].keys() == {"spill_bytes", "shuffle_bytes"}
    assert extra["write_mode"] == "overwrite"
    assert extra["interval"] == tuple(interval.values())


def test_lineage_has_places_columns_their_sources_and_the_query(project: Project) -> None:
    project.pipe("in.put", lambda: project.spark.range(3))
    project.run("in.put")
    sql = "SELECT id, id * 2 AS twice, 'x' AS name FROM in_put"
    with DataPipes.declaring_into(project.declared.pipes):
        DataPipes.view("out", output_entity_id="out", input_entity_ids=["in.put"], sql=sql)
    assert "lineage" not in project.run("out").extra
    report = project.run("out", lineage=True)
    assert report.error is None
    assert report.extra["lineage"] == {
        "inputs": {
            "in.put": {
                "location": str(project.table("in.put")),
                "format": "parquet",
                "columns": (("id", "bigint"),),
            }
        },
        "columns": (("id", "bigint"), ("twice", "bigint"), ("name", "string")),
        "sources": {"id": (("in.put", "id"),), "twice": (("in.put", "id"),), "name": ()},
        "sql": sql,
    }


def test_a_plan_that_cannot_be_read_costs_the_lineage_and_not_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: Any) -> None:
        raise ValueError("a plan of another release")

    monkeypatch.setattr("kindling_airflow.runner.pipe.run_pipe.lineage_of", unreadable)
    project.pipe("out", lambda: project.spark.range(3))
    report = project.run("out", lineage=True)
    assert report.status == "published"
    assert report.extra["note"] == (
        "its lineage is not known: ValueError: a plan of another release"
    )
