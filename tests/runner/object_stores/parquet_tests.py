"""Parquet on S3: published by one conditional put, read by the newest entry of a log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.runner.providers.contract import RULES, Case
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.place_check import check_place
from kindling_airflow.runner.providers.storage import Storage
from tests.runner.conftest import Project
from tests.runner.logged_tables import (
    Table,
    at_once,
    dies_at_every_step,
    foreign_files,
    stands_against_an_older_attempt,
)
from tests.runner.object_stores.conftest import Store
from tests.runner.test_intervals import APPEND, day, published

ROUNDS = int(os.environ.get("KINDLING_TEST_RACES", "3"))
READERS_SEE = 6


@pytest.fixture
def table(spark: Any, lake: str) -> Table:
    return Table(spark, lake)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Callable[[Case], None], spark: Any, lake: str) -> None:
    rule(Case(spark, lake, {"provider_type": "parquet"}))


def test_a_driver_may_write_it_here(table: Table) -> None:
    check_place(table.entity, ProviderContext(table.spark, table.warehouse))


def test_a_driver_that_dies_at_any_step_leaves_one_of_the_two_tables(table: Table) -> None:
    dies_at_every_step(table)


@pytest.mark.parametrize(
    ("mode", "day"), [("append", None), ("overwrite", None), ("overwrite_interval", 2)]
)
def test_an_attempt_that_was_held_up_does_not_follow_a_later_one(
    table: Table, mode: str, day: int | None
) -> None:
    stands_against_an_older_attempt(table, mode, day)


def test_days_at_once_make_the_table_that_days_in_order_make(table: Table) -> None:
    table.write("overwrite", [(n, 0) for n in range(1, 4)])()
    publishes = [
        table.write("overwrite_interval", [(n, n)], day=n, instance=f"day{n}") for n in range(1, 4)
    ]
    assert at_once(*publishes) == []
    assert table.rows() == [(n, n) for n in range(1, 4)]


def test_one_day_and_one_table_twice_at_once_are_one_of_the_results(table: Table) -> None:
    for n in range(ROUNDS):
        publishes = [
            table.write("overwrite_interval", [(1, k), (1, k)], day=1, instance=f"{n}-{k}")
            for k in range(2)
        ]
        assert at_once(*publishes) == []
        assert table.rows() in [[(1, k), (1, k)] for k in range(2)]
    for n in range(ROUNDS):
        publishes = [table.write("overwrite", [(k, k)], instance=f"{n}-{k}") for k in (1, 2)]
        assert at_once(*publishes) == []
        assert table.rows() in [[(k, k)] for k in (1, 2)]


def test_appends_at_once_are_all_kept_and_a_retry_doubles_nothing(table: Table) -> None:
    publishes = [table.write("append", [(1, n)], instance=f"run{n}") for n in range(4)]
    assert at_once(*publishes) == []
    table.write("append", [(1, 2)], instance="run2", attempt="again")()
    assert table.rows() == [(1, n) for n in range(4)]


def test_readers_see_one_publish_and_not_two(table: Table) -> None:
    """Own readers, and one that is Spark alone and goes by the newest entry."""
    table.write("overwrite", [(1, 0), (2, 0)])()
    done = threading.Event()
    seen: list[tuple[str, list[int]]] = []
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                seen.append(("own", [value for _, value in table.rows()]))
                files = foreign_files(table.spark, table.location)
                rows = table.spark.read.parquet(*files).select("value").collect()
                seen.append(("foreign", sorted(row.value for row in rows)))
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        n = 0
        while reader.is_alive() and (len(seen) < READERS_SEE or n < 3):
            n += 1
            table.write("overwrite", [(1, n), (2, n)], attempt=f"a{n}")()
    finally:
        done.set()
        reader.join()
    assert errors == []
    assert all(len(values) == 2 and len(set(values)) == 1 for _, values in seen)
    assert {who for who, _ in seen} == {"own", "foreign"}


def test_a_reader_that_has_begun_goes_on_in_its_table(table: Table) -> None:
    table.write("overwrite", [(1, 10), (2, 20)])()
    begun = table.provider().read(table.entity)
    table.write("overwrite", [(3, 30)], attempt="b")()
    assert sorted(row.value for row in begun.collect()) == [10, 20]


def test_a_plain_read_of_the_folder_is_an_error_and_not_a_wrong_table(table: Table) -> None:
    table.write("overwrite", [(1, 10)])()
    with pytest.raises(Exception, match="UNABLE_TO_INFER_SCHEMA"):
        table.spark.read.parquet(table.location)


def test_a_publish_copies_no_file(table: Table) -> None:
    publish = table.write("overwrite", [(1, 10), (2, 20)])
    storage = Storage(table.spark)
    before = storage.times(f"{table.location}/_data")
    publish()
    after = storage.times(f"{table.location}/_data")
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {f"{next(iter(before)).partition('/')[0]}/_publishing"}


def test_runs_of_a_project_go_through_the_log(s3_project: Project, lake: str) -> None:
    s3_project.entity("events", **APPEND)
    s3_project.entity("totals", **APPEND)
    spark = s3_project.spark
    s3_project.pipe("events", lambda: spark.range(3))
    s3_project.pipe("totals", lambda events: events, "events", use_watermark=True)
    for n in (1, 2):
        published(s3_project.run("events", warehouse=lake, **day(n)))
        report = published(s3_project.run("totals", warehouse=lake, **day(n)))
        assert report.rows_written == 3
    report = s3_project.run("totals", warehouse=lake, **day(3))
    assert report.status == "skipped"
    files = foreign_files(spark, f"{lake}/totals")
    assert spark.read.parquet(*files).count() == 6


CHILD = """
import json, sys
from tests.runner.object_stores.sessions import session_of
from tests.runner.logged_tables import (
    Table,
    stands_against_an_older_attempt,
)
settings, warehouse, driver, runs = sys.argv[1:]
table = Table(session_of(json.loads(settings)), warehouse)
for n in range(1, int(runs) + 1):
    table.write("append", [(1, n), (int(driver), n)], instance=f"{driver}-{n}")()
    print("run", n, flush=True)
"""


def started(store: Store, table: Table, driver: int, runs: int) -> subprocess.Popen[str]:
    """Start a driver with its own Java that appends to a table, run by run."""
    settings = json.dumps(dict(store.settings))
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, settings, table.warehouse, str(driver), str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[3],
        start_new_session=True,  # its Java, too, is killed at once
    )


def test_two_drivers_that_append_all_the_time_lose_nothing(table: Table, store: Store) -> None:
    drivers = [started(store, table, driver, ROUNDS) for driver in (2, 3)]
    try:
        told = [driver.communicate()[0].count("run ") for driver in drivers]
    finally:
        for driver in drivers:
            driver.kill()
    assert told == [ROUNDS, ROUNDS]
    runs = range(1, ROUNDS + 1)
    assert table.rows() == sorted(
        [*((1, n) for n in runs for _ in range(2)), *((d, n) for d in (2, 3) for n in runs)]
    )


def test_a_driver_that_is_killed_loses_nothing(table: Table, store: Store) -> None:
    process = started(store, table, 2, 1000)
    told = 0
    assert process.stdout is not None
    try:
        for line in process.stdout:
            told = int(line.split()[1]) if line.startswith("run ") else told
            if told == 3:
                break
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    rest = [line for line in process.stdout.read().splitlines() if line.startswith("run ")]
    told = int(rest[-1].split()[1]) if rest else told
    process.wait()
    assert told >= 3
    rows = sorted((d, n) for n in range(1, told + 1) for d in (1, 2))
    more = sorted([*rows, (1, told + 1), (2, told + 1)])
    assert table.rows() in (rows, more)
    table.write("append", [(1, told + 1), (2, told + 1)], instance=f"2-{told + 1}")()
    assert table.rows() == more
