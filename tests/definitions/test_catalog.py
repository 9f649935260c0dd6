"""The key ``catalog`` of a definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.definitions.compile import plan_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.errors import DefinitionError
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.project_settings import differences_for
from kindling_airflow.tags.plan_checks import connections_of
from tests.dag_factory.projects import document

ICEBERG = {"provider_type": "iceberg"}
PLACES = {
    "own.path": {**ICEBERG, "provider.path": "elsewhere"},
    "own.table": {**ICEBERG, "provider.table": "other.shop.orders"},
    "own.catalog": {**ICEBERG, "provider.catalog": "other"},
    "own.connection": {**ICEBERG, "provider.connection": "mine", "provider.catalog": "lake"},
    "plain": {},
    "silver.orders": ICEBERG,
}


def nothing() -> None:
    """Stand for a pipe's function."""


def manifest() -> Manifest:
    for name, tags in PLACES.items():
        DataEntities.entity(name, tags=tags)
        DataPipes.pipe(name, output_entity_id=name, input_entity_ids=[])(nothing)
    return Manifest.from_registries(DataPipes.registry(), DataEntities.registry())


def planned(folder: Path, **keys: Any) -> Any:
    (folder / "shop").mkdir(exist_ok=True)
    definition = Definition.from_document(document(**keys), base=folder, source="here")
    return plan_definition(definition, manifest())


def test_iceberg_entities_without_a_place_of_their_own_are_in_the_catalog(tmp_path: Path) -> None:
    found = planned(tmp_path, catalog={"name": "lake", "connection": "lake_db"})
    tags = {e.entityid: dict(e.tags) for e in found.manifest.entities}
    assert tags == {
        **PLACES,
        "silver.orders": {
            **ICEBERG,
            "provider.catalog": "lake",
            "provider.connection": "lake_db",
        },
    }
    pipe = found.manifest.get_pipe_definition("silver.orders")
    assert connections_of(pipe, found.manifest.entities) == ("lake_db",)
    told = differences_for(found.base, found.manifest, ["silver.orders"])
    assert told["entities"]["silver.orders"]["tags"]["provider.catalog"] == "lake"


def test_a_name_alone_is_a_catalog_of_the_session(tmp_path: Path) -> None:
    found = planned(tmp_path, catalog="lake")
    entity = found.manifest.entities.get_entity_definition("silver.orders")
    assert dict(entity.tags) == {**ICEBERG, "provider.catalog": "lake"}


@pytest.mark.parametrize("wrong", ["my lake", {"connection": "x"}, {"name": "lake", "uri": "x"}])
def test_other_values_are_refused(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(DefinitionError, match="catalog"):
        planned(tmp_path, catalog=wrong)
