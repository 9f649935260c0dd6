"""Empty is a value: what had rows and has none now flows through, in each format and write mode.

The oracle is DuckDB, which computes the same tables from the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.data_pipes.expectations import satisfies
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for
from kindling_airflow.runner.session.runner import SessionPipeRunner
from tests.runner.conftest import Project
from tests.runner.streams import STREAMING

Rows = list[tuple[Any, ...]]


@pytest.fixture
def shop(spark: Any, kind: str, tmp_path: Path) -> Project:
    declared = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
    made = Project(spark, tmp_path / "ware house", declared)
    tags = {"provider.path": "landing/raw", "interval.column": "day"}
    made.entity("raw", tags=tags, schema="id BIGINT, day DATE, n INT")
    return made


def land(shop: Project, rows: Sequence[str]) -> None:
    values = f"VALUES {', '.join(rows)}" if rows else "SELECT 0L, DATE'2013-01-01', 0 WHERE false"
    frame = shop.spark.sql(f"SELECT * FROM ({values}) AS t(id, day, n)")
    frame.write.mode("overwrite").parquet(str(shop.warehouse / "landing" / "raw"))


def entity(shop: Project, kind: str, name: str, **more: Any) -> None:
    tags = {"provider_type": kind, **more.pop("tags", {})}
    shop.entity(name, tags=tags, **more)


def stored(shop: Project, name: str) -> Rows:
    context = ProviderContext(shop.spark, str(shop.warehouse))
    found = shop.declared.entities.definition_or_default(name)
    frame = provider_for(found, context).read(found)
    rows = frame.select(*sorted(frame.columns)).collect()
    return sorted(map(tuple, rows), key=repr)


def expected(query: str, rows: Sequence[str]) -> Rows:
    """Return what DuckDB makes of the landed rows; columns are in the order of their names."""
    values = f"VALUES {', '.join(rows)}" if rows else "SELECT 0, DATE '2013-01-01', 0 WHERE false"
    values = values.replace("L,", ",").replace("DATE'", "DATE '")
    found = duckdb.sql(f"WITH raw AS (SELECT * FROM ({values}) AS t(id, day, n)) {query}")
    return sorted(found.select(*sorted(found.columns)).fetchall(), key=repr)


def published(shop: Project, pipe_id: str, **changes: Any) -> int:
    report = shop.run(pipe_id, **changes)
    assert (report.status, report.error) == ("published", None)
    assert report.rows_written is not None
    return report.rows_written


def the_input(name: str) -> Callable[..., Any]:
    return lambda **found: found[name]


def day(n: int, again: str = "") -> dict[str, Any]:
    start, end = f"2013-01-{n:02}T00:00:00Z", f"2013-01-{n + 1:02}T00:00:00Z"
    return {"run_id": f"day{n}{again}", "interval_start": start, "interval_end": end}


def test_what_is_computed_from_a_table_that_became_empty_is_empty(shop: Project, kind: str) -> None:
    entity(shop, kind, "readings")
    entity(shop, kind, "alerts", partition_columns=["day"])
    entity(shop, kind, "count")
    shop.pipe("readings", lambda raw: raw, "raw")
    shop.pipe("alerts", lambda readings: readings.where("n > 10"), "readings")
    with DataPipes.declaring_into(shop.declared.pipes):
        DataPipes.view("count", sql="SELECT count(*) AS n FROM alerts")
    alerts = "SELECT * FROM raw WHERE n > 10"
    first = ["(1L, DATE'2013-01-01', 5)", "(2L, DATE'2013-01-02', 50)"]
    for rows in (first, [], ["(3L, DATE'2013-01-03', 30)"]):
        land(shop, rows)
        for pipe_id in ("readings", "alerts", "count"):
            published(shop, pipe_id)
        assert stored(shop, "readings") == expected("SELECT * FROM raw", rows)
        assert stored(shop, "alerts") == expected(alerts, rows)
        assert stored(shop, "count") == [(len(expected(alerts, rows)),)]


def test_a_day_that_lost_its_rows_is_empty_in_every_table_and_the_others_stay(
    shop: Project, kind: str
) -> None:
    daily = {"tags": {"write_mode": "overwrite_interval", "interval.column": "day"}}
    for name in ("silver", "gold"):
        entity(shop, kind, name, **daily, partition_columns=["day"])
    sliced = {"interval.read": "slice"}
    shop.pipe("silver", lambda raw: raw.where("n > 0"), "raw", tags=sliced)
    shop.pipe("gold", lambda silver: silver.groupBy("day").count(), "silver", tags=sliced)
    gold = "SELECT day, count(*) FROM raw WHERE n > 0 GROUP BY day"
    both = ["(1L, DATE'2013-01-01', 1)", "(2L, DATE'2013-01-02', 1)", "(3L, DATE'2013-01-02', 2)"]
    left = ["(1L, DATE'2013-01-01', 1)", "(2L, DATE'2013-01-02', 0)", "(3L, DATE'2013-01-02', -1)"]
    for again, rows in (("", both), ("", left), (" again", both)):
        land(shop, rows)
        for n in (1, 2):
            for pipe_id in ("silver", "gold"):
                published(shop, pipe_id, **day(n, again))
        assert stored(shop, "silver") == expected("SELECT * FROM raw WHERE n > 0", rows)
        assert stored(shop, "gold") == expected(gold, rows)


def test_the_first_result_may_be_empty_and_keeps_its_columns(shop: Project, kind: str) -> None:
    land(shop, [])
    modes = ["overwrite", "overwrite_interval", "append", *(["merge"] if kind != "parquet" else [])]
    for mode in modes:
        more = {"merge_columns": ["id"]} if mode == "merge" else {}
        tags = {"write_mode": mode, "interval.column": "day"}
        entity(shop, kind, mode, tags=tags, partition_columns=["day"], **more)
        shop.pipe(mode, lambda raw: raw, "raw")
        assert published(shop, mode, **day(1)) == 0
        assert stored(shop, mode) == []
    rows = ["(1L, DATE'2013-01-01', 7)"]
    land(shop, rows)
    for mode in modes:
        assert published(shop, mode, **day(1)) == 1
        assert stored(shop, mode) == expected("SELECT * FROM raw", rows)


def test_rows_that_come_late_are_added_by_the_run_that_found_none(shop: Project, kind: str) -> None:
    entity(shop, kind, "log", tags={"write_mode": "append"})
    shop.pipe("log", lambda raw: raw, "raw")
    first, late = "(1L, DATE'2013-01-01', 1)", "(2L, DATE'2013-01-02', 2)"
    land(shop, [first])
    assert published(shop, "log", run_id="one") == 1
    land(shop, [])
    for _ in "ab":  # the run, and a retry of it
        assert published(shop, "log", run_id="two") == 0
    land(shop, [late])
    assert published(shop, "log", run_id="two") == 1
    assert stored(shop, "log") == expected("SELECT * FROM raw", [first, late])
    assert published(shop, "log", run_id="two") == (1 if kind == "parquet" else 0)
    assert stored(shop, "log") == expected("SELECT * FROM raw", [first, late])


def test_a_run_whose_rows_were_all_dropped_may_append_later(shop: Project, kind: str) -> None:
    entity(shop, kind, "log", tags={"write_mode": "append"})
    positive = satisfies("n > 0", on_violation="drop")
    shop.pipe("log", lambda raw: raw, "raw", expectations=[positive])
    land(shop, ["(1L, DATE'2013-01-01', -1)"])
    assert published(shop, "log", run_id="one") == 0
    land(shop, ["(1L, DATE'2013-01-01', 1)"])
    assert published(shop, "log", run_id="one") == 1
    assert len(stored(shop, "log")) == 1


def test_merging_nothing_changes_nothing(shop: Project, kind: str) -> None:
    if kind == "parquet":
        return  # which cannot be merged
    entity(shop, kind, "state", tags={"write_mode": "merge"}, merge_columns=["id"])
    shop.pipe("state", lambda raw: raw, "raw")
    rows = ["(1L, DATE'2013-01-01', 1)"]
    for landed in (rows, []):
        land(shop, landed)
        assert published(shop, "state") == len(landed)
        assert stored(shop, "state") == expected("SELECT * FROM raw", rows)


def test_a_stream_that_takes_what_is_there_fails_where_its_table_is_gone(
    shop: Project, kind: str
) -> None:
    if kind == "parquet":
        return  # whose streams need a declared schema, from which the table is made
    for name in ("orders", "copies", "elsewhere", "others"):
        entity(shop, kind, name)
    shop.pipe("orders", lambda: shop.spark.range(3))
    shop.pipe("copies", lambda orders: orders, "orders", tags=STREAMING)
    shop.pipe("others", lambda elsewhere: elsewhere, "elsewhere", tags=STREAMING)
    run = SessionPipeRunner(shop.spark, shop.declared, str(shop.warehouse))
    report = run.catch_up("copies")
    assert report.error is not None
    assert "Fix: run pipe 'orders' first" in report.error.message
    assert run.catch_up("others").status == "skipped"


def test_a_write_of_nothing_does_not_end_the_streams_of_a_table(shop: Project, kind: str) -> None:
    if kind == "parquet":
        return  # which streams read only if runs append to it
    for mode in ("append", "merge", "overwrite_interval"):
        more = {"merge_columns": ["id"]} if mode == "merge" else {}
        tags = {"write_mode": mode, "interval.column": "day"}
        entity(shop, kind, mode, tags=tags, partition_columns=["day"], **more)
        entity(shop, kind, f"copy of {mode}")
        shop.pipe(mode, lambda raw: raw, "raw", tags={"interval.read": "slice"})
        shop.pipe(f"copy of {mode}", the_input(mode), mode, tags=STREAMING)
    run = SessionPipeRunner(shop.spark, shop.declared, str(shop.warehouse))
    land(shop, ["(1L, DATE'2013-01-01', 1)"])
    for mode in ("append", "merge", "overwrite_interval"):
        for n in (1, 2):  # the second day has no rows
            published(shop, mode, **day(n))
            ended = run.catch_up(f"copy of {mode}")
            assert (ended.status, ended.error) == ("published" if n == 1 else "skipped", None)
        assert len(stored(shop, f"copy of {mode}")) == 1
