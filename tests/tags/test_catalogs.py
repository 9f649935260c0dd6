"""Tables of a catalog whose names follow from their entities' ids."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.paths import table_name_of
from kindling_airflow.tags.places import place_problems, places_of

LAKE = {"provider_type": "iceberg", "provider.catalog": "lake"}


def entity(an_id: str = "silver.orders", **tags: Any) -> EntityMetadata:
    return EntityMetadata(an_id, tags={**LAKE, **tags})


@pytest.mark.parametrize(
    ("an_id", "name"),
    [
        ("silver.orders", ("lake", "silver", "orders")),
        ("orders", ("lake", "default", "orders")),
        ("silver.orders.eu", ("lake", "silver", "orders__2Eeu")),
        ("silver.orders__eu", ("lake", "silver", "orders___5Feu")),
        ("silver.", ("lake", "default", "silver__2E")),
        (".orders", ("lake", "default", "__2Eorders")),
        ("silver.naïve", ("lake", "silver", "na__C3__AFve")),
    ],
)
def test_the_name_follows_from_the_id(an_id: str, name: tuple[str, ...]) -> None:
    assert table_name_of(entity(an_id)) == name


def test_different_ids_have_different_names() -> None:
    ids = ["a.b", "a.b.c", "a.b_c", "a.b__c", "a.b___c", "a.b__2Ec", "a.b-c", "ab", "default.ab_"]
    assert len({table_name_of(entity(an_id)) for an_id in ids}) == len(ids)


def test_its_place_is_the_name_in_the_catalog() -> None:
    assert places_of(entity(), "s3a://lake") == (("table", "lake.silver.orders"),)


def test_a_table_that_another_entity_names_is_the_same_place() -> None:
    declared = DataEntityRegistry()
    declared.register_entity("silver.orders", tags=LAKE)
    other = {"provider_type": "iceberg", "provider.table": "Lake.silver.orders"}
    declared.register_entity("other", tags=other)
    made = [
        PipeMetadata(name, "p", None, input_entity_ids=(), output_entity_id=name)
        for name in ("silver.orders", "other")
    ]
    [text] = place_problems(made, declared)
    assert text.startswith(
        "entities 'silver.orders' and 'other' are both written to the table 'Lake.silver.orders'\n"
    )


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({}, None),
        ({"provider.connection": "lake_db"}, None),
        (
            {"provider.catalog": "my lake"},
            "tag provider.catalog must be the name of a catalog, not 'my lake'",
        ),
        (
            {"provider.path": "orders"},
            (
                "the catalog of provider.catalog determines the name and location of the table\n"
                "  Fix: remove one of provider.catalog and provider.path."
            ),
        ),
        (
            {"provider.table": "lake.shop.orders"},
            (
                "the catalog of provider.catalog determines the name and location of the table\n"
                "  Fix: remove one of provider.catalog and provider.table."
            ),
        ),
    ],
)
def test_tags_that_contradict_it_are_refused(tags: dict[str, Any], problem: str | None) -> None:
    found = entity_tag_problems(entity(**tags))
    if problem is None:
        assert found == []
    else:
        [text] = found
        assert problem in text


def test_a_connection_without_a_catalog_is_refused() -> None:
    made = EntityMetadata(
        "orders", tags={"provider_type": "iceberg", "provider.connection": "lake_db"}
    )
    assert entity_tag_problems(made) == [
        (
            "entity 'orders': tag provider.connection names the connection of a catalog, and none "
            "is configured\n"
            "  Fix: name the catalog: provider.catalog: lake; or remove provider.connection."
        )
    ]


def test_a_name_that_no_catalog_takes_is_refused() -> None:
    assert entity_tag_problems(entity(f"silver.{'x' * 256}")) == [
        (
            f"entity 'silver.{'x' * 256}': the name of its table in the catalog would have 256 "
            "characters, more than 255\n"
            "  Fix: name the table: provider.table: catalog.database.table, in place of "
            "provider.catalog."
        )
    ]
