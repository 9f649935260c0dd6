"""Runs of intervals on parquet: slices replaced, files appended, watermarks; with real Spark."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from pyspark.errors import PySparkException

from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.contracts import RunReport
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for
from kindling_airflow.runner.providers.publishing.publish_log import PublishLog
from kindling_airflow.runner.providers.storage import Storage
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

DAILY = {"tags": {"write_mode": "overwrite_interval"}, "partition_columns": ["day"]}
APPEND = {"tags": {"write_mode": "append"}}
DECIDED = 3  # the step in which a publish is decided, after its sidecar and its entry were written


def day(n: int, **more: Any) -> dict[str, Any]:
    """Return the request of the run of a day of January 2013."""
    return {
        "run_id": f"day{n}",
        "interval_start": f"2013-01-{n:02}T00:00:00+00:00",
        "interval_end": f"2013-01-{n + 1:02}T00:00:00Z",
        **more,
    }


@pytest.fixture
def shop(project: Project) -> Project:
    """Orders of some days, and a pipe that makes a table of days from them, day by day."""
    project.entity("orders", tags={"interval.column": "day"})
    project.entity("daily", **DAILY)
    project.pipe("daily", lambda orders: orders, "orders", tags={"interval.read": "slice"})
    return project


def put(project: Project, *rows: tuple[int, int], name: str = "orders") -> None:
    """Let a table hold rows of (day, value)."""
    frame = project.spark.createDataFrame(
        [(date(2013, 1, n), value) for n, value in rows], "day DATE, value INT"
    )
    frame.write.mode("overwrite").parquet(str(project.table(name)))


def held(project: Project, name: str) -> list[tuple[int, int]]:
    """Return what a table holds."""
    return sorted((row.day.day, row.value) for row in _frame(project, name).collect())


def _frame(project: Project, name: str) -> Any:
    return project.spark.read.parquet(str(project.table(name))).select("day", "value")


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return the files of a folder, as they are on disk."""
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes())
        for p in folder.rglob("*")
        if p.is_file()
    }


def published(report: RunReport) -> RunReport:
    assert report.status == "published", report.error
    return report


def failed(report: RunReport) -> str:
    assert report.error is not None
    return report.error.message


class TestSlices:
    def test_a_run_replaces_its_slice_and_other_slices_stay_as_they_are(
        self, shop: Project
    ) -> None:
        put(shop, (1, 10), (2, 20), (2, 21), (3, 30))
        for n in (3, 1, 2):
            report = published(shop.run("daily", **day(n)))
        text = "day in [2013-01-02T00:00:00+00:00, 2013-01-03T00:00:00+00:00)"
        assert report.rows_written == 2
        assert report.extra["slice_written"] == text
        assert report.extra["slices_read"] == {"orders": text}
        assert held(shop, "daily") == [(1, 10), (2, 20), (2, 21), (3, 30)]
        before = {n: state_of(shop.table("daily") / f"day=2013-01-0{n}") for n in (1, 3)}
        put(shop, (1, 99), (2, 22), (3, 99))  # late data
        published(shop.run("daily", **day(2)))
        assert held(shop, "daily") == [(1, 10), (2, 22), (3, 30)]
        after = {n: state_of(shop.table("daily") / f"day=2013-01-0{n}") for n in (1, 3)}
        assert after == before

    def test_nothing_is_left_of_runs_that_went_well(self, shop: Project) -> None:
        put(shop, (1, 10))
        published(shop.run("daily", **day(1)))
        published(shop.run("daily", **day(1)))
        left = [p.name for p in (shop.warehouse / "_kindling").rglob("*") if p.is_file()]
        assert sorted(n for n in left if not n.endswith(".crc")) == [
            "0000000001.done",
            "0000000002.done",
            "entry.json",
            "entry.json",
        ]

    def test_a_slice_that_has_no_rows_any_more_is_emptied(self, project: Project) -> None:
        project.entity("daily", **DAILY)
        put(project, (1, 10), (2, 20))
        rows = ["value > 0"]
        project.pipe("daily", lambda orders: orders.where(rows[0]), "orders")
        published(project.run("daily"))
        rows[0] = "false"
        assert published(project.run("daily", **day(2))).rows_written == 0
        assert held(project, "daily") == [(1, 10)]

    def test_a_run_without_an_interval_writes_everything(self, shop: Project) -> None:
        put(shop, (1, 10), (2, 20))
        published(shop.run("daily", **day(1)))
        put(shop, (2, 21), (3, 30))
        report = published(shop.run("daily"))
        assert "slice_written" not in report.extra
        assert held(shop, "daily") == [(2, 21), (3, 30)]

    def test_a_run_without_an_interval_can_be_told_to_fail(self, shop: Project) -> None:
        put(shop, (1, 10))
        empty = {"interval_start": "2013-01-01T00:00:00Z", "interval_end": "2013-01-01T00:00:00Z"}
        for interval in ({}, empty):
            report = shop.run("daily", on_missing_interval="fail", **interval)
            assert report.extra["permanent"]
            assert failed(report) == (
                "pipe 'daily': run 'run' has no data interval\n"
                "  Fix: run it for an interval ('airflow backfill create'), or let such runs "
                "process everything: on_missing_interval: full."
            )

    def test_an_interval_of_no_length_never_replaces_the_whole_table(self, shop: Project) -> None:
        put(shop, (1, 10), (2, 20))
        published(shop.run("daily"))
        put(shop, (3, 30))
        begin, end = "2013-01-03T00:00:00Z", "2013-01-02T00:00:00Z"
        for interval in (
            {"interval_start": begin, "interval_end": begin},
            {"interval_start": begin, "interval_end": end},
            {"interval_start": begin, "interval_end": None},
        ):
            report = shop.run("daily", **interval)
            assert report.extra["permanent"]
            assert failed(report) == (
                "pipe 'daily': run 'run' has no valid data interval: it begins at "
                f"{begin} and ends at {interval['interval_end']}\n"
                "  Fix: run it for an interval that begins before it ends, or without one."
            )
            assert held(shop, "daily") == [(1, 10), (2, 20)]

    def test_rows_outside_of_the_slice_are_refused(self, project: Project) -> None:
        project.entity("daily", **DAILY)
        put(project, (1, 10), (2, 20), (3, 30))
        project.pipe("daily", lambda orders: orders, "orders")
        report = project.run("daily", **day(2))
        assert failed(report) == (
            "entity 'daily': the result has rows outside the run's slice (day in "
            "[2013-01-02T00:00:00+00:00, 2013-01-03T00:00:00+00:00)): day = 2013-01-01, "
            "2013-01-03\n"
            "  Fix: remove such rows, or read the slice only (interval.read: slice)."
        )
        assert not project.table("daily").exists()

    def test_a_slice_with_other_columns_is_refused_and_a_full_run_is_not(
        self, shop: Project
    ) -> None:
        put(shop, (1, 10), (2, 20))
        published(shop.run("daily", **day(1)))
        wide = _frame(shop, "orders").selectExpr("day", "CAST(value AS BIGINT) AS value", "1 AS n")
        wide.write.mode("overwrite").parquet(str(shop.table("wide")))
        shop.spark.read.parquet(str(shop.table("wide"))).write.mode("overwrite").parquet(
            str(shop.table("orders"))
        )
        text = failed(shop.run("daily", **day(2)))
        assert "does not have the columns of the table, whose other rows are kept" in text
        assert held(shop, "daily") == [(1, 10)]
        published(shop.run("daily"))
        assert held(shop, "daily") == [(1, 10), (2, 20)]

    def test_texts_and_nested_partitions_are_slices_too(self, project: Project) -> None:
        project.entity(
            "daily",
            tags={"write_mode": "overwrite_interval", "interval.column": "hour"},
            partition_columns=["shop", "hour"],
        )
        rows = [("a", "2013-01-02T05", 1), ("b/c", "2013-01-02T05", 2), ("a", "2013-01-02T06", 3)]
        project.pipe(
            "daily",
            lambda run: project.spark.createDataFrame(
                [r for r in rows if r[1] == f"{run.interval_start:%Y-%m-%dT%H}"],
                "shop STRING, hour STRING, value INT",
            ),
        )
        for hour in (5, 6, 5):
            start, end = (f"2013-01-02T{h:02}:00:00Z" for h in (hour, hour + 1))
            published(project.run("daily", interval_start=start, interval_end=end))
        found = project.spark.read.parquet(str(project.table("daily"))).select(
            "shop", "hour", "value"
        )
        assert sorted(map(tuple, found.collect())) == sorted(rows)

    def test_partitions_of_other_types_have_no_slices(self, project: Project) -> None:
        project.entity("daily", **DAILY)
        project.pipe("daily", lambda: project.spark.sql("SELECT 20130101 AS day, 1 AS value"))
        assert failed(project.run("daily", **day(1))) == (
            "entity 'daily': its slices are partitions by 'day', of type INT\n"
            "  Fix: partition by a DATE, or by a STRING that holds ISO 8601."
        )


class TestReading:
    @pytest.mark.parametrize(
        ("tags", "expected"),
        [
            ({}, [1, 2, 3, 4]),
            ({"interval.read": "slice"}, [3]),
            ({"interval.lookback": "1d"}, [2, 3]),
            ({"interval.read": "slice", "interval.read.orders": "all"}, [1, 2, 3, 4]),
        ],
    )
    def test_everything_a_slice_or_a_window_is_read(
        self, shop: Project, tags: dict[str, str], expected: list[int]
    ) -> None:
        put(shop, (1, 10), (2, 20), (3, 30), (4, 40))
        shop.pipe("copy", lambda orders: orders, "orders", tags=tags)
        published(shop.run("copy", **day(3)))
        assert [n for n, _ in held(shop, "copy")] == expected

    def test_a_slice_without_rows_is_an_empty_slice(self, shop: Project) -> None:
        put(shop, (1, 10), (2, 20))
        for n in (1, 2):
            published(shop.run("daily", **day(n)))
        put(shop, (1, 10))
        report = shop.run("daily", **day(2))
        assert (report.status, report.rows_written) == ("published", 0)
        assert held(shop, "daily") == [(1, 10)]

    def test_a_slice_without_rows_is_nothing_to_do_where_that_is_declared(
        self, shop: Project
    ) -> None:
        tags = {"interval.read": "slice", "on_empty_input": "skip"}
        shop.pipe("copy", lambda orders: orders, "orders", tags=tags)
        put(shop, (1, 10))
        report = shop.run("copy", **day(2))
        assert (report.status, report.reason) == (
            "skipped",
            (
                "'orders' has no rows with day in [2013-01-02T00:00:00+00:00, "
                "2013-01-03T00:00:00+00:00)"
            ),
        )

    @pytest.mark.parametrize(
        ("column", "problem"),
        [
            ("d", ("entity 'in' has no column 'd', which the tag interval.column names\n"
                  "  Fix: correct its tag interval.column.")),
            ("id", ("entity 'in': its interval column is 'id', of type BIGINT\n"
                   "  Fix: use a column of one of the types DATE, STRING, TIMESTAMP, "
                   "TIMESTAMP_NTZ.")),
        ],
    )  # fmt: skip
    def test_a_column_that_cannot_tell_is_refused(
        self, project: Project, column: str, problem: str
    ) -> None:
        project.entity("in", tags={"interval.column": column})
        project.spark.range(3).write.parquet(str(project.table("in")))
        project.pipe("out", lambda **inputs: inputs["in_"], "in", tags={"interval.read": "slice"})
        assert failed(project.run("out", **day(1))) == problem

    def test_a_write_mode_that_the_provider_cannot_do_is_refused(self, project: Project) -> None:
        tags = {
            "provider_type": "kindling_airflow.runner.providers.memory:MemoryProvider",
            "write_mode": "append",
        }
        project.entity("out", tags=tags)
        project.pipe("out", lambda: project.spark.range(3))
        assert failed(project.run("out")) == (
            "entity 'out': provider_type "
            "'kindling_airflow.runner.providers.memory:MemoryProvider' does not support write mode "
            "'append'\n"
            "  Fix: use one of the write modes overwrite."
        )


class TestAppending:
    def test_a_retry_and_a_second_run_replace_what_the_run_has_appended(
        self, project: Project
    ) -> None:
        project.entity("log", **APPEND)
        value = [1]
        project.pipe("log", lambda: project.spark.range(value[0]))
        published(project.run("log", **day(1)))
        published(project.run("log", **day(2)))
        assert project.rows("log") == [(0,), (0,)]
        value[0] = 3
        assert published(project.run("log", **day(1))).rows_written == 3
        assert project.rows("log") == [(0,), (0,), (1,), (2,)]

    def test_a_watermark_takes_each_run_of_the_input_in_once(self, project: Project) -> None:
        project.entity("log", **APPEND)
        project.entity("copy", **APPEND)
        value = [0]
        project.pipe("log", lambda: project.spark.range(value[0], value[0] + 1))
        project.pipe("copy", lambda log: log, "log", use_watermark=True)
        for n in (1, 2):
            value[0] = n
            published(project.run("log", **day(n)))
        assert published(project.run("copy", **day(2))).rows_written == 2
        assert project.run("copy", **day(3)).reason == "'log' has no new rows"
        value[0] = 4
        published(project.run("log", **day(4)))
        assert published(project.run("copy", **day(4))).rows_written == 1
        value[0] = 9
        published(project.run("log", **day(1)))  # late data, and so both are run again
        assert published(project.run("copy", **day(2))).rows_written == 2
        assert project.rows("copy") == [(2,), (4,), (9,)]
        project.spark.range(50, 51).write.mode("append").parquet(str(project.table("log")))
        assert published(project.run("copy", **day(5))).rows_written == 1

    def test_two_runs_do_not_take_in_the_same(self, project: Project) -> None:
        project.entity("log", **APPEND)
        project.entity("copy", **APPEND)
        project.pipe("log", lambda: project.spark.range(1))
        other: list[Callable[[], Any]] = []

        def copy(log: Any) -> Any:
            if other:
                other.pop()()
            return log

        project.pipe("copy", copy, "log", use_watermark=True)
        published(project.run("log", **day(1)))
        other.append(lambda: published(project.run("copy", **day(2))))
        report = project.run("copy", **day(1))
        assert not report.extra["permanent"]
        assert "another run has already consumed what this run has read of 'log'" in failed(report)
        assert project.rows("copy") == [(0,)]


class TestRunsAtOnce:
    def test_days_that_run_in_parallel_make_the_table_that_days_in_order_make(
        self, shop: Project
    ) -> None:
        rows = [(n, 10 * n + k) for n in range(1, 6) for k in range(2)]
        put(shop, *rows)
        with ThreadPoolExecutor(3) as threads:
            reports = list(threads.map(lambda n: shop.run("daily", **day(n)), range(1, 6)))
        assert [report.status for report in reports] == ["published"] * 5
        assert held(shop, "daily") == rows

    def test_the_same_day_twice_at_once_leaves_one_of_the_two_results(
        self, project: Project
    ) -> None:
        project.entity("daily", **DAILY)
        both = Barrier(2)

        def made(run: Any) -> Any:
            name = run.run_id
            both.wait(60)
            return project.spark.sql(
                f"SELECT DATE'2013-01-01' AS day, CAST(id AS INT) + {name} AS value FROM range(3)"
            )

        project.pipe("daily", made)
        with ThreadPoolExecutor(2) as threads:
            runs = [day(1, run_id="10"), day(1, run_id="20")]
            reports = list(threads.map(lambda run: project.run("daily", **run), runs))
        assert [report.status for report in reports] == ["published"] * 2
        found = held(project, "daily")
        assert found in ([(1, 10), (1, 11), (1, 12)], [(1, 20), (1, 21), (1, 22)])

    def test_a_reader_sees_one_publish_while_slices_are_replaced(self, shop: Project) -> None:
        """Each publish puts one value into both days: two values in one look would be a mixture."""
        shop.entity("pairs", **DAILY)
        value = [0]

        def pairs() -> Any:
            rows = [(date(2013, 1, n), value[0]) for n in (1, 2)]
            return shop.spark.createDataFrame(rows, "day DATE, value INT")

        shop.pipe("pairs", pairs)
        published(shop.run("pairs"))
        seen: list[set[int]] = []
        interval = {"interval_end": "2013-01-03T00:00:00Z"}
        with ThreadPoolExecutor(1) as threads:
            for n in range(1, 4):
                value[0] = n
                writing = threads.submit(shop.run, "pairs", **day(1, **interval))
                while not writing.done():
                    try:
                        seen.append({found for _, found in read(shop, "pairs")})
                    except PySparkException as error:  # files of before, gone under the reader
                        assert "FAILED_READ_FILE" in str(error)  # noqa: PT017 (sometimes, not always)
                published(writing.result())
        assert {len(values) for values in seen} == {1}


class TestFaults:
    @pytest.mark.parametrize(
        ("mode", "step"),
        [*(("slice", n) for n in (2, 3, 4, 5, 6)), *(("append", n) for n in (4, 5, 6))],
    )
    def test_a_driver_that_dies_at_any_step_leaves_one_of_the_two_tables(
        self, shop: Project, monkeypatch: pytest.MonkeyPatch, mode: str, step: int
    ) -> None:
        """And its retry leaves the new one, and nothing else.

        Every step, and many more things that may happen, are tried in test_intervals_model.py.
        """
        if mode == "append":
            shop.entity("log", **APPEND)
            shop.pipe("log", lambda orders: orders, "orders")
        pipe = "daily" if mode == "slice" else "log"
        put(shop, (1, 10))
        published(shop.run(pipe, **day(1)))
        put(shop, (1, 11))
        monkeypatch.setitem(PublishLog.__init__.__kwdefaults__, "patience", 2)
        with monkeypatch.context() as dying:
            left = [step]

            def mortal(name: str) -> Callable[..., Any]:
                real = getattr(Storage, name)

                def call(self: Storage, *args: Any) -> Any:
                    if "/_kindling/claims" not in str(args):
                        if left[0] == 0:
                            raise KeyboardInterrupt
                        left[0] -= 1
                    return real(self, *args)

                return call

            for name in ("move", "delete", "write_text"):
                dying.setattr(Storage, name, mortal(name))
            with pytest.raises(KeyboardInterrupt):
                shop.run(pipe, **day(1))
        assert read(shop, pipe) == ([(1, 10)] if step <= DECIDED else [(1, 11)])
        published(shop.run(pipe, **day(1)))
        assert held(shop, pipe) == [(1, 11)]
        staging = shop.warehouse / "_kindling" / "staging" / pipe
        assert not staging.exists() or list(staging.iterdir()) == []

    def test_a_table_that_cannot_be_written_stays_as_it_was(self, shop: Project) -> None:
        put(shop, (1, 10))
        published(shop.run("daily", **day(1)))
        put(shop, (1, 11))
        real = Storage.move

        def refuse(self: Storage, source: str, target: str) -> None:
            if "day=" in target:
                raise EntityError("no space left on device")
            real(self, source, target)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Storage, "move", refuse)
            assert failed(shop.run("daily", **day(1))) == "no space left on device"
        assert held(shop, "daily") == [(1, 10)]
        published(shop.run("daily", **day(1)))
        assert held(shop, "daily") == [(1, 11)]


def read(project: Project, name: str) -> list[tuple[int, int]]:
    """Return what a pipe of this package reads."""
    entity = project.declared.entities.definition_or_default(name)
    context = ProviderContext(project.spark, str(project.warehouse))
    frame = provider_for(entity, context).read(entity)
    return sorted((row.day.day, row.value) for row in frame.collect())
