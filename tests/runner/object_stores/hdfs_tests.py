"""The protocol of renames on a real HDFS: what the storage promises, and what follows from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.contract import RULES, Case
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.place_check import check_checkpoint, check_place
from kindling_airflow.runner.providers.publishing.publish_log import PublishLog
from kindling_airflow.runner.providers.storage import Storage
from tests.runner.logged_tables import (
    Table,
    at_once,
    dies_at_every_step,
    stands_against_an_older_attempt,
)


@pytest.fixture
def table(spark: Any, lake: str) -> Table:
    return Table(spark, lake)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Callable[[Case], None], spark: Any, lake: str) -> None:
    rule(Case(spark, lake, {"provider_type": "parquet"}))


def test_of_four_that_create_one_file_at_once_one_does(spark: Any, lake: str) -> None:
    storage = Storage(spark)
    for n in range(12):
        created: dict[int, bool] = {}
        path = f"{lake}/log/{n}"

        def create(me: int, path: str = path, created: dict[int, bool] = created) -> None:
            created[me] = storage.create_if_absent(path, f"written by {me}")

        threads = [threading.Thread(target=create, args=(me,)) for me in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        [winner] = [me for me, won in created.items() if won]
        assert storage.read_text(path) == f"written by {winner}"
    assert storage.names(f"{lake}/log") == sorted(map(str, range(12)))


@pytest.mark.parametrize("kind", ["parquet", "delta", "iceberg", "table"])
def test_every_format_may_be_written_here(spark: Any, lake: str, kind: str) -> None:
    context = ProviderContext(spark, lake)
    check_place(EntityMetadata("orders", tags={"provider_type": kind}), context)
    check_checkpoint("p", f"{lake}/checkpoints/p", context)


def test_a_driver_that_dies_at_any_step_leaves_one_of_the_two_tables(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = PublishLog.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "patience", 1)  # of others with a driver that died
    dies_at_every_step(table)


def test_a_table_twice_at_once_is_one_of_the_results(table: Table) -> None:
    for n in range(3):
        publishes = [table.write("overwrite", [(k, k)], instance=f"{n}-{k}") for k in (1, 2)]
        at_once(*publishes)  # the slower one may fail, and is retried
        assert table.rows() in [[(k, k)] for k in (1, 2)]


def test_one_day_twice_at_once_is_one_of_the_results(table: Table) -> None:
    table.write("overwrite", [(2, 0)])()
    for n in range(3):
        publishes = [
            table.write("overwrite_interval", [(1, k), (1, k)], day=1, instance=f"{n}-{k}")
            for k in range(2)
        ]
        assert at_once(*publishes) == []
        assert table.rows() in [[(1, k), (1, k), (2, 0)] for k in range(2)]


@pytest.mark.parametrize(("mode", "day"), [("append", None), ("overwrite_interval", 2)])
def test_an_attempt_that_was_held_up_does_not_follow_a_later_one(
    table: Table, mode: str, day: int | None
) -> None:
    stands_against_an_older_attempt(table, mode, day)


def test_days_at_once_are_all_kept(table: Table) -> None:
    table.write("overwrite", [(n, 0) for n in range(1, 4)])()
    publishes = [
        table.write("overwrite_interval", [(n, n)], day=n, instance=f"day{n}") for n in range(1, 4)
    ]
    assert at_once(*publishes) == []
    assert table.rows() == [(n, n) for n in range(1, 4)]


def test_appends_at_once_are_all_kept_and_a_retry_doubles_nothing(table: Table) -> None:
    publishes = [table.write("append", [(1, n)], instance=f"run{n}") for n in range(4)]
    assert at_once(*publishes) == []
    table.write("append", [(1, 2)], instance="run2", attempt="again")()
    assert table.rows() == [(1, n) for n in range(4)]
