"""Parquet by a log of immutable files, on a disk: all that does not depend on the storage."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.runner.providers.contract import RULES, Case
from kindling_airflow.runner.providers.interface import StreamRead, Write
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.tags.storages import StorageAbilities
from tests.runner.conftest import Project
from tests.runner.logged_tables import Table, at_once, dies_at_every_step
from tests.runner.test_intervals import APPEND, day, failed, published, put

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def no_renames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a disk be storage whose folders cannot be renamed."""
    known = Storage.abilities

    def abilities(storage: Storage, path: str) -> StorageAbilities:
        return replace(known(storage, path), atomic_rename=False)

    monkeypatch.setattr(Storage, "abilities", abilities)


@pytest.fixture
def table(spark: Any, tmp_path: Path) -> Table:
    return Table(spark, str(tmp_path / "ware house"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_contract(rule: Callable[[Case], None], spark: Any, tmp_path: Path) -> None:
    warehouse = tmp_path / "ware 'house' $(x) %20 \" ä[1] {a} ${x} * \\"
    rule(Case(spark, str(warehouse), {"provider_type": "parquet"}))


def test_other_tools_find_the_table_in_the_newest_entry(table: Table) -> None:
    """The query of docs/how-to/object-stores.md."""
    table.write("overwrite", [(1, 10), (2, 20), (2, 21)])()
    table.write("overwrite_interval", [(2, 22)], day=2)()
    duck = duckdb.connect()
    duck.execute("SET VARIABLE lake = ?", [table.location])
    duck.execute(
        """
        SET VARIABLE files = (
            SELECT list_transform(arg_max(files, number), lambda f: getvariable('lake') || '/' || f)
            FROM read_json(getvariable('lake') || '/_log/*.json',
                           columns = {number: 'BIGINT', files: 'VARCHAR[]'})
        )
        """
    )
    found = duck.execute(
        "SELECT day, value FROM read_parquet(getvariable('files'), hive_partitioning = true) "
        "ORDER BY ALL"
    ).fetchall()
    assert [(d.day, v) for d, v in found] == table.rows() == [(1, 10), (2, 22)]


def test_a_plain_read_of_the_folder_is_an_error_and_not_a_wrong_table(table: Table) -> None:
    table.write("overwrite", [(1, 10)])()
    with pytest.raises(Exception, match="UNABLE_TO_INFER_SCHEMA"):
        table.spark.read.parquet(table.location)


def test_a_driver_that_dies_at_any_step_leaves_one_of_the_two_tables(table: Table) -> None:
    dies_at_every_step(table)


def test_days_at_once_make_the_table_that_days_in_order_make(table: Table) -> None:
    table.write("overwrite", [(n, 0) for n in range(1, 5)])()
    publishes = [
        table.write("overwrite_interval", [(n, n)], day=n, instance=f"day{n}") for n in range(1, 5)
    ]
    assert at_once(*publishes) == []
    assert table.rows() == [(n, n) for n in range(1, 5)]


def test_one_day_twice_at_once_is_one_of_the_results(table: Table) -> None:
    publishes = [
        table.write("overwrite_interval", [(1, n), (1, n)], day=1, instance=f"i{n}")
        for n in range(4)
    ]
    assert at_once(*publishes) == []
    assert table.rows() in [[(1, n), (1, n)] for n in range(4)]


def test_a_table_twice_at_once_is_one_of_the_results(table: Table) -> None:
    publishes = [table.write("overwrite", [(n, n)], instance=f"i{n}") for n in range(1, 5)]
    assert at_once(*publishes) == []
    assert table.rows() in [[(n, n)] for n in range(1, 5)]


def test_appends_at_once_are_all_kept(table: Table) -> None:
    publishes = [table.write("append", [(1, n)], instance=f"run{n}") for n in range(6)]
    assert at_once(*publishes) == []
    assert table.rows() == [(1, n) for n in range(6)]


def test_a_reader_that_has_begun_goes_on_in_its_table(table: Table) -> None:
    table.write("overwrite", [(1, 10), (2, 20)])()
    begun = table.provider().read(table.entity)
    table.write("overwrite", [(3, 30)], attempt="b")()
    table.write("overwrite_interval", [(3, 31)], day=3, attempt="c")()
    assert sorted(row.value for row in begun.collect()) == [10, 20]
    assert table.rows() == [(3, 31)]


def test_what_is_out_of_use_is_deleted_after_the_grace_period(spark: Any, tmp_path: Path) -> None:
    tags = {"provider.grace_period": "0s"}
    table = Table(spark, str(tmp_path), EntityMetadata("daily", tags=tags))
    first = tmp_path / "daily" / "_data"
    table.write("overwrite", [(1, 10)], attempt="a")()
    [folder] = first.iterdir()
    log = tmp_path / "daily" / "_log"
    for n in range(2, 5):
        for file in log.glob("*.json"):  # as if days had gone by
            os.utime(file, (1e9 + n, 1e9 + n))
        table.write("overwrite", [(n, n)], attempt=f"b{n}")()
    assert not list(folder.glob("*.parquet"))
    assert table.rows() == [(4, 4)]
    assert len(list(log.glob("*.json"))) < 4


def test_an_empty_result_is_a_table_without_rows(table: Table) -> None:
    table.write("overwrite", [])()
    assert table.provider().exists(table.entity)
    assert table.rows() == []
    table.write("overwrite_interval", [(2, 2)], day=2, attempt="b")()
    assert table.rows() == [(2, 2)]
    table.write("overwrite_interval", [], day=2, attempt="c")()
    assert table.rows() == []


def test_columns_that_change_meanwhile_are_an_error(table: Table) -> None:
    table.write("overwrite", [(1, 10)])()
    publish = table.write("overwrite_interval", [(2, 20)], day=2)
    other = table.provider()
    frame, write = table.frame((3, 3)).withColumnRenamed("value", "number"), Write("i", "x")
    other.publish(table.entity, other.stage(table.entity, frame, write), write)
    with pytest.raises(EntityError, match="the table's columns changed while its slice"):
        publish()


def test_files_of_others_are_read_and_not_added_to(table: Table) -> None:
    table.frame((1, 10)).write.parquet(table.location)
    assert table.rows() == [(1, 10)]
    with pytest.raises(PipeRunError, match="files that were not published by a log"):
        table.write("append", [(2, 20)])()
    table.write("overwrite", [(3, 30)])()
    assert table.rows() == [(3, 30)]


def test_what_is_only_staged_is_no_table(spark: Any, tmp_path: Path) -> None:
    entity = EntityMetadata("daily", schema="day DATE, value INT")
    table = Table(spark, str(tmp_path), entity)
    table.write("overwrite", [(1, 10)])
    assert not table.provider().exists(entity)
    with pytest.raises(EntityError, match="no table at"):
        table.provider().read(entity)


def test_an_empty_table_is_made_once(spark: Any, tmp_path: Path) -> None:
    entity = EntityMetadata("daily", schema="day DATE, value INT")
    table = Table(spark, str(tmp_path), entity)
    assert at_once(*[lambda: table.provider().make_ready(entity) for _ in range(3)]) == []
    assert table.rows() == []
    table.write("overwrite", [(1, 10)])()
    table.provider().make_ready(entity)
    assert table.rows() == [(1, 10)]


def test_a_stream_does_not_follow_a_log(table: Table) -> None:
    table.write("overwrite", [(1, 10)])()
    with pytest.raises(PipeRunError, match="published by a log, which a stream cannot follow"):
        table.provider().read_stream(table.entity, StreamRead())


def test_a_column_cannot_have_the_name_of_a_folder(table: Table) -> None:
    frame = table.frame((1, 1)).withColumnRenamed("value", "kindling_publish")
    with pytest.raises(PipeRunError, match="has a column 'kindling_publish'"):
        table.provider().stage(table.entity, frame, Write("i", "a"))


def test_a_watermark_takes_each_run_in_once(project: Project) -> None:
    project.entity("events", **APPEND)
    project.entity("totals", **APPEND)
    project.pipe("events", lambda orders: orders, "orders")
    project.pipe("totals", lambda events: events, "events", use_watermark=True)

    def total() -> list[int]:
        path = str(project.table("totals"))
        provider = Table(project.spark, str(project.warehouse)).provider()
        frame = provider.read(project.declared.entities.definition_or_default("totals"))
        assert path
        return sorted(row.value for row in frame.collect())

    for n in (1, 2):
        put(project, (n, n * 10))
        published(project.run("events", **day(n)))
        published(project.run("totals", **day(n)))
        assert total() == [10 * k for k in range(1, n + 1)]
    assert project.run("totals", **day(3)).status == "skipped"
    published(project.run("totals", **day(2)))  # again: it takes its own in again
    assert total() == [10, 20]


def test_a_watermark_needs_one_kind_of_storage(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.entity("events", **APPEND)
    project.entity("totals", **APPEND)
    project.pipe("events", lambda orders: orders, "orders")
    project.pipe("totals", lambda events: events, "events", use_watermark=True)
    put(project, (1, 10))
    published(project.run("events"))
    known = Storage.abilities
    monkeypatch.setattr(
        Storage,
        "abilities",
        lambda storage, path: replace(known(storage, path), atomic_rename=path.endswith("totals")),
    )
    assert "are on different kinds of storage" in failed(project.run("totals"))
