"""One place under two ids, and a place inside of another."""

from __future__ import annotations

from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.places import place_problems, places_of

WAREHOUSE = "/data/ware house"


def entities(**tags: dict[str, Any]) -> DataEntityRegistry:
    registry = DataEntityRegistry()
    for name, said in tags.items():
        registry.register_entity(name, tags=said)
    return registry


def pipe(output: str, *inputs: str) -> PipeMetadata:
    return PipeMetadata(
        f"make {output}", "p", None, input_entity_ids=inputs, output_entity_id=output
    )


def at(path: str, kind: str = "parquet") -> dict[str, Any]:
    return {"provider_type": kind, "provider.path": path}


def named(name: Any, kind: str) -> dict[str, Any]:
    return {"provider_type": kind, "provider.table": name}


def topic(name: str, servers: str) -> dict[str, Any]:
    return {"provider_type": "kafka", "provider.topic": name, "provider.servers": servers}


def found(
    written: dict[str, Any] | None, read: dict[str, Any] | None, warehouse: str | None = WAREHOUSE
) -> list[str]:
    """Return the problems of a pipe that writes 'a', beside one that reads 'b'."""
    declared = {name: tags for name, tags in (("a", written), ("b", read)) if tags is not None}
    pipes = [pipe("out", "b"), pipe("a")]
    return place_problems(pipes, entities(**declared), warehouse)


ONE_PLACE = [
    (at("x"), at("x/")),
    (at("x"), at("./x//.")),
    (at("b"), None),
    (None, at("a")),
    (None, at("/data/ware house/a")),
    (None, at("/data/ware house/z/../a/")),
    (None, at("file:///data/ware house/a")),
    (None, at("file:/data/ware house/a")),
    (None, at("FILE://localhost/data/ware house/a")),
    (at("/x/y"), at("file:/x/./y", "delta")),
    (at("s3a://Lake/x", "delta"), at("s3://lake/x/", "csv")),
    (at("hdfs://one/x", "iceberg"), at("hdfs://one/y/../x", "json")),
    (at("x"), at("x/*.parquet", "csv")),
    (at("x"), at("x", "shop.avro:AvroProvider")),
    (named("db.T", "table"), named(["spark_catalog", "DB", "t"], "table")),
    (named("orders", "table"), named("default.Orders", "table")),
    (named("lake.db.T", "iceberg"), named("Lake.DB.t", "table")),
    (topic("t", "h:1,i:2"), topic("t", "I:2,h:1")),
    ({"provider_type": "kafka", "provider.connection": "c", "provider.topic": "t"},) * 2,
]


@pytest.mark.parametrize(("written", "read"), ONE_PLACE)
def test_a_place_that_is_written_under_one_id_and_read_under_another_is_refused(
    written: dict[str, Any] | None, read: dict[str, Any] | None
) -> None:
    (problem,) = found(written, read)
    assert problem.startswith("entities 'a' and 'b' are the same ")
    assert problem.endswith(
        ": pipe 'make a' writes the first, and pipes that read the second by its id do not wait "
        "for it\n"
        "  Fix: use one id: let the pipes that read 'b' read 'a'."
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, None),
        (at("x"), at("y")),
        (at("x"), at("xy")),
        (at("x"), at("X")),
        (at("/x"), at("s3a://x")),
        (at("s3a://one/x"), at("s3a://two/x")),
        (at("x"), {"provider_type": "memory"}),
        (at("x"), {"provider_type": "jdbc", "provider.connection": "c", "provider.table": "x"}),
        (at("x"), {"provider_type": "shop.avro:AvroProvider"}),
        (at("x"), named("x", "table")),
        (named("db.t", "table"), named("lake.db.t", "iceberg")),
        (topic("t", "h:1"), topic("t", "i:1")),
        (topic("t", "h:1"), topic("u", "h:1")),
        (at("landing/out"), at("landing/*.csv", "csv")),
        (at("landing/_archive"), at("landing", "csv")),
        (at("x"), at("*.csv", "csv")),
        (at("x/y"), at("x/z")),
        (at("x"), at("/data", "csv")),
    ],
)
def test_other_places_are_none_of_it(
    written: dict[str, Any] | None, read: dict[str, Any] | None
) -> None:
    assert found(written, read) == []


def test_without_the_warehouse_relative_paths_are_compared_with_each_other() -> None:
    absolute = at("/data/ware house/a")
    assert found(None, absolute, None) == []
    assert found(None, absolute, "warehouse") == []
    assert len(found(None, at("a/."), None)) == 1


def test_links_are_followed_where_that_is_asked_for() -> None:
    declared = entities(b=at("/link/a"))
    pipes = [pipe("out", "b"), pipe("a")]

    def resolve(path: str) -> str:
        return path.replace("/link", WAREHOUSE)

    assert place_problems(pipes, declared, WAREHOUSE) == []
    assert len(place_problems(pipes, declared, WAREHOUSE, resolve)) == 1


def test_sources_may_share_a_place() -> None:
    same = at("landing", "csv")
    assert place_problems([pipe("out", "a", "b")], entities(a=same, b=same), WAREHOUSE) == []


def test_each_reader_of_a_place_that_is_written_is_named() -> None:
    declared = entities(a=at("x"), b=at("x"), c=at("x"))
    said = place_problems([pipe("b", "c"), pipe("a", "c")], declared)
    assert [problem.partition(" are ")[0] for problem in said] == [
        "entities 'b' and 'a'",
        "entities 'b' and 'c'",
    ]


NESTED = [
    (at("x"), at("x/y")),
    (at("x"), at("x/day=1/part", "json")),
    (at("x"), at("x/_y")),
    (at("x"), at("x/y/*.csv", "csv")),
    (at("x/y", "delta"), at("x")),
    (at("x/y/z"), at("x", "csv")),
    ({"provider_type": "table", "provider.path": "x/y"}, at("x")),
    (None, at("/data/ware house/a/y")),
]


@pytest.mark.parametrize(("written", "read"), NESTED)
def test_a_place_inside_of_another_is_refused_where_one_is_written(
    written: dict[str, Any] | None, read: dict[str, Any]
) -> None:
    (problem,) = found(written, read)
    assert " lies inside entity " in problem
    assert problem.endswith(
        "\n  Fix: give one of them a provider.path outside the other's, or use one id."
    )


def test_two_outputs_one_inside_of_the_other_are_refused() -> None:
    declared = entities(a=at("x"), b=at("x/y"))
    assert place_problems([pipe("a"), pipe("b")], declared) == [
        (
            "entity 'b', the folder 'x/y', lies inside entity 'a', the folder 'x': writing or "
            "reading the outer one would touch the inner one\n"
            "  Fix: give one of them a provider.path outside the other's, or use one id."
        )
    ]


@pytest.mark.parametrize("path", ["/data/ware house", "file:/data", "/"])
def test_the_warehouse_is_no_place_for_a_table(path: str) -> None:
    declared = entities(a=at(path))
    assert place_problems([pipe("a")], declared) == []
    assert place_problems([pipe("a")], declared, WAREHOUSE) == [
        (
            f"entity 'a' is written to the folder {path!r}, which is the warehouse or contains "
            "it\n  Fix: use a provider.path beneath the warehouse."
        )
    ]


@pytest.mark.parametrize(
    ("tags", "places"),
    [
        ({"provider_type": "memory"}, ()),
        ({"provider_type": "memory", "provider.path": "a"}, ()),
        ({"provider_type": "csv", "provider.path": "a/b.csv"}, (("folder", "/lake/a/b.csv"),)),
        ({"provider_type": "csv"}, ()),
        ({"provider.path": "/other/a"}, (("folder", "/other/a"),)),
        ({}, (("folder", "/lake/orders"),)),
    ],
)
def test_places_in_a_warehouse(tags: dict[str, Any], places: tuple[tuple[str, str], ...]) -> None:
    assert places_of(EntityMetadata("orders", tags=tags), "/lake") == places
