"""What is a catalog's own: names, namespaces, and what an earlier driver has left in it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import writable_provider_for
from tests.runner.formats.fence_tests import NEW, Held, attempts, kept
from tests.runner.formats.format_tests import (
    day,
    flights,
    publish,
    stored,
    without_lock,
    write_of,
)

__all__ = ["kept", "without_lock"]  # fixtures


def refs(case: Case, entity: Any) -> list[str]:
    provider: Any = case.provider(entity)
    return sorted(map(str, provider._table(provider._name(entity)).refs().keySet()))


def names(case: Case) -> list[str]:
    """Return the tables of the catalog."""
    lake = case.tags["provider.catalog"]
    spaces = [row[0] for row in case.spark.sql(f"SHOW NAMESPACES IN {lake}").collect()]
    found = [case.spark.sql(f"SHOW TABLES IN {lake}.`{space}`").collect() for space in spaces]
    return sorted(row.tableName for tables in found for row in tables)


def test_the_namespace_is_made_and_the_name_follows_from_the_id(case: Case) -> None:
    lake = case.tags["provider.catalog"]
    named = Case(case.spark, case.warehouse, case.tags, "silver.orders.eu")
    entity = named.entity()
    publish(named, entity, flights(named, [(1, day(1), 1)]), write_of(1, "append"))
    assert case.spark.table(f"{lake}.silver.orders__2Eeu").count() == 1
    assert named.provider(entity).describe(entity).location == f"{lake}.silver.orders__2Eeu"


def test_what_a_driver_that_died_has_left_is_removed(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    entity = case.entity(merge_columns=("id",))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(0, "overwrite"))
    kind: Any = type(case.provider(entity))
    remove = kind._remove_branches

    def dies(_self: Any, _name: str, _branch: str, _base: int) -> None:
        monkeypatch.setattr(kind, "_remove_branches", lambda *_arguments: None)
        raise EntityError("the driver died")

    with monkeypatch.context() as patched:
        patched.setattr(kind, "_become", dies)
        with pytest.raises(EntityError, match="the driver died"):
            publish(case, entity, flights(case, [(2, day(1), 2)]), write_of(1, "merge", "dead"))
    monkeypatch.setattr(kind, "_remove_branches", remove)
    assert len(refs(case, entity)) == 2
    assert stored(case, entity) == [(1, day(1), 1)]
    publish(case, entity, flights(case, [(2, day(1), 2)]), write_of(1, "merge", "next"))
    assert refs(case, entity) == ["main"]
    assert stored(case, entity) == [(1, day(1), 1), (2, day(1), 2)]


@pytest.mark.usefixtures("without_lock", "kept")
def test_a_later_attempt_stands_against_an_older_one_with_other_columns(case: Case) -> None:
    """Iceberg's own createOrReplace would replace whatever the table has become."""
    entity = case.entity()
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(0, "overwrite"))
    older, newer = attempts("overwrite", {})
    held = Held(lambda: publish(case, entity, flights(case, NEW), newer), EntityError("superseded"))
    grown = flights(case, [(7, day(1), 7)]).selectExpr("*", "'x' AS name")
    with pytest.raises(EntityError, match="superseded"):
        publish(case, entity, grown, replace(older, check=held))
    assert held.asked == 2
    assert stored(case, entity) == NEW
    assert names(case) == ["contract_orders"]


@pytest.mark.usefixtures("without_lock", "kept")
def test_other_columns_come_after_what_another_run_has_published_meanwhile(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(0, "overwrite"))
    held = Held(lambda: publish(case, entity, flights(case, NEW), write_of(7, "append")))
    rows = flights(case, [(7, day(1), 7)]).selectExpr("day", "CAST(id AS STRING) AS id")
    publish(case, entity, rows, replace(write_of(1, "overwrite"), check=held))
    assert held.asked == 2
    assert stored(case, entity) == [(day(1), "7")]
    provider: Any = case.provider(entity)
    table = provider._table(provider._name(entity))
    assert len(list(table.snapshots())) == 3  # its history is kept
    assert str(table.spec().fields()[0].name()) == "day"
    assert names(case) == ["contract_orders"]


def test_an_entry_that_a_driver_has_left_beside_a_table_is_dropped(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    entity = case.entity()
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(0, "overwrite"))
    rows = flights(case, [(7, day(1), 7)]).selectExpr("id")
    publish(case, entity, rows, write_of(1, "overwrite", "first"))
    provider: Any = case.provider(entity)
    table = provider._table(provider._name(entity))
    where = table.operations().current().metadataFileLocation()
    lake = case.tags["provider.catalog"]
    left = f"contract_orders__kindling_{1:016x}_dead"
    case.spark.sql(f"CALL {lake}.system.register_table('default.{left}', '{where}')")
    assert names(case) == ["contract_orders", left]
    publish(case, entity, rows.selectExpr("id", "1 AS n"), write_of(1, "overwrite", "next"))
    assert names(case) == ["contract_orders"]
    assert stored(case, entity) == [(7, 1)]


def test_the_password_is_in_nothing_that_spark_shows(case: Case) -> None:
    """Neither in what goes into the UI and the event log, nor in what a report describes."""
    jvm: Any = case.spark._jvm
    key = f"spark.sql.catalog.{case.tags['provider.catalog']}.jdbc.password"
    conf = case.spark._jsc.sc().getConf().clone().set(key, "hidden-word")
    assert "hidden-word" not in str(conf.toDebugString())
    assert key in str(conf.toDebugString())
    entity = case.entity()
    context = ProviderContext(case.spark, case.warehouse)
    described = writable_provider_for(entity, context).describe(entity).to_json()
    assert "password" not in json.dumps(described)
    assert jvm is not None
