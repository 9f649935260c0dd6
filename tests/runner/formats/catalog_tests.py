"""What is a catalog's own: names, namespaces, and what an earlier driver has left in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import writable_provider_for
from tests.runner.formats.format_tests import day, flights, publish, stored, write_of


def refs(case: Case, entity: Any) -> list[str]:
    provider: Any = case.provider(entity)
    return sorted(map(str, provider._table(provider._name(entity)).refs().keySet()))


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
