"""What an entity's tags may say, told without Spark."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags import storage_types as provider_types
from kindling_airflow.tags.entity_checks import entity_tag_problems
from kindling_airflow.tags.paths import path_problem, table_name_of
from kindling_airflow.tags.storage_types import is_class_reference


def problems(entity_id: str = "shop.orders", **tags: Any) -> list[str]:
    """Return what is wrong with tags; ``provider_path`` stands for ``provider.path``."""
    plain = ("provider_type", "write_mode")
    named = {
        key if key in plain else key.replace("_", ".", 1).replace("option_", "option."): v
        for key, v in tags.items()
    }
    return entity_tag_problems(EntityMetadata(entity_id, tags=named))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions: both register ``hudi``, one ``avro``."""
    found = [
        EntryPoint(name, value, provider_types.ENTRY_POINT_GROUP)
        for name, value in (
            ("avro", "shop.avro:Avro"),
            ("hudi", "one:Hudi"),
            ("hudi", "another:Hudi"),
            ("avro", "shop.avro:Avro"),
        )
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"owner": "me", "layer": 1},
        {"provider_type": "parquet", "provider_path": "a/b", "provider_option_compression": "zstd"},
        {"provider_path": "s3a://lake/x"},
        {"provider_path": "/../data"},
        {"provider_path": f"a/{'ü' * 127}"},
        {"provider_type": "csv", "provider_path": "in/*.csv", "provider_option_sep": ";"},
        {"provider_type": "json", "provider_path": "in"},
        {"provider_type": "memory"},
        {"provider_type": "table"},
        {"provider_type": "table", "provider_table": "my-db.odd name", "provider_format": "orc"},
        {"provider_type": "table", "provider_table": ["cat", "db", "a.b"]},
        {"provider_type": "delta", "provider_new_columns": "add", "write_mode": "append"},
        {"provider_type": "iceberg", "provider_table": "lake.shop.orders"},
        {"provider_type": "iceberg", "provider_path": "lake/orders"},
        {"provider_type": "table", "provider_extra_columns": "ignore"},
        {"provider_type": "jdbc", "provider_connection": "shop", "provider_table": "orders"},
        {"provider_type": "jdbc", "provider_url": "jdbc:x:y?a=b", "provider_query": "SELECT 1"},
        {
            "provider_type": "jdbc",
            "provider_connection": "shop",
            "provider_table": "orders",
            "provider_option_numPartitions": 4,
        },
        {
            "provider_type": "jdbc",
            "provider_connection": "shop",
            "provider_table": "orders",
            "provider_option_partitionColumn": "id",
            "provider_option_lowerBound": 0,
            "provider_option_UPPERBOUND": 9,
            "provider_option_numPartitions": 4,
        },
        {"provider_type": "shop.providers:Avro", "provider_anything": 1},
    ],
    ids=str,
)
def test_sound_tags(tags: dict[str, Any]) -> None:
    assert problems(**tags) == []


ALL_TYPES = "csv, delta, iceberg, jdbc, json, kafka, memory, parquet, rate, table"
SHOP = {"provider_type": "jdbc", "provider_connection": "shop", "provider_table": "orders"}


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        (
            {"provider_type": "parkett"},
            (
                "unknown provider_type 'parkett'. Did you mean 'parquet'?\n"
                f"  Fix: use one of {ALL_TYPES}, or 'package.module:Class'."
            ),
        ),
        (
            {"provider_type": "not:a class"},
            (
                "unknown provider_type 'not:a class'.\n"
                f"  Fix: use one of {ALL_TYPES}, or 'package.module:Class'."
            ),
        ),
        (
            {"provider_pth": "x"},
            (
                "provider_type 'parquet' has no tag 'provider.pth'. Did you mean 'provider.path'?\n"
                "  Fix: use one of provider.extra_columns, provider.grace_period, "
                "provider.path, provider.option.NAME."
            ),
        ),
        (
            {"provider_option_": "x"},
            (
                "provider_type 'parquet' has no tag 'provider.option.'. "
                "Did you mean 'provider.option.NAME'?\n"
                "  Fix: use one of provider.extra_columns, provider.grace_period, "
                "provider.path, provider.option.NAME."
            ),
        ),
        (
            {"provider_type": "memory", "provider_path": "x"},
            (
                "provider_type 'memory' has no tag 'provider.path', nor any other\n"
                "  Fix: remove the tag."
            ),
        ),
        (
            {"provider_path": "a/../../b"},
            (
                "tag provider.path 'a/../../b' leaves the warehouse\n"
                "  Fix: use a path beneath the warehouse root, or an absolute path or URI."
            ),
        ),
        (
            {"provider_path": "./"},
            (
                "tag provider.path './' is the warehouse itself\n"
                "  Fix: use a path beneath the warehouse root, or an absolute path or URI."
            ),
        ),
        (
            {"provider_path": "a/_kindling/b"},
            (
                "tag provider.path 'a/_kindling/b' is in '_kindling', where results are staged\n"
                "  Fix: use a path beneath the warehouse root, or an absolute path or URI."
            ),
        ),
        (
            {"provider_path": f"a/{'ü' * 128}"},
            (
                f"tag provider.path 'a/{'ü' * 128}' has a name of more than 255 bytes\n"
                "  Fix: use a path beneath the warehouse root, or an absolute path or URI."
            ),
        ),
        (
            {"provider_extra_columns": "drop"},
            "tag provider.extra_columns is 'drop'\n  Fix: use one of fail, ignore.",
        ),
        (
            {"provider_type": "table", "provider_format": "hudi"},
            "tag provider.format is 'hudi'\n  Fix: use one of parquet, orc.",
        ),
        (
            {"provider_type": "delta", "provider_new_columns": "merge"},
            "tag provider.new_columns is 'merge'\n  Fix: use one of fail, add.",
        ),
        (
            {"provider_type": "iceberg", "provider_path": "lake/History"},
            (
                "an Iceberg table cannot be in a folder 'History', which is the name of one of "
                "its metadata tables\n  Fix: use another folder: provider.path: History_table."
            ),
        ),
        (
            {"provider_type": "iceberg", "provider_table": "orders"},
            (
                "tag provider.table 'orders' is not a valid name of a catalog table\n"
                "  Fix: write catalog.database.table, or a list of these names."
            ),
        ),
        (
            {"provider_type": "iceberg", "provider_table": "lake.x", "provider_path": "x"},
            (
                "the catalog of provider.table determines the location of an Iceberg table\n"
                "  Fix: remove one of provider.table and provider.path."
            ),
        ),
        (
            {"provider_type": "iceberg", "provider_table": ("lake", " ")},
            (
                "tag provider.table ['lake', ' '] is not a valid name of a catalog table\n"
                "  Fix: write catalog.database.table, or a list of these names."
            ),
        ),
        (
            {"provider_type": "table", "provider_table": "a.b.c.d"},
            (
                "tag provider.table 'a.b.c.d' is not a valid table name\n"
                "  Fix: write [catalog.][database.]table, or a list of these names."
            ),
        ),
        (
            {"provider_type": "table", "provider_table": ("a", " ")},
            (
                "tag provider.table ['a', ' '] is not a valid table name\n"
                "  Fix: write [catalog.][database.]table, or a list of these names."
            ),
        ),
        (
            {**SHOP, "provider_option_sslPassword": "x"},
            (
                "tag 'provider.option.sslPassword' names a secret, and tags are stored in the "
                "manifest\n"
                "  Fix: keep it in an Airflow connection and name that: "
                "provider.connection: my_connection."
            ),
        ),
        (
            {**SHOP, "provider_query": "SELECT 1"},
            (
                "a jdbc entity has either provider.table or provider.query\n"
                "  Fix: name the table, or write the query that the database is to execute."
            ),
        ),
        (
            {"provider_type": "jdbc", "provider_table": "orders"},
            (
                "no database is configured\n"
                "  Fix: name an Airflow connection (provider.connection: my_connection), or set "
                "provider.url."
            ),
        ),
        (
            {**SHOP, "provider_url": "postgres://h/x"},
            (
                "tag provider.url 'postgres://h/x' is not a JDBC URL\n"
                "  Fix: write it like 'jdbc:postgresql://host:5432/shop'."
            ),
        ),
        *(
            (
                {**SHOP, "provider_url": url},
                (
                    "tag provider.url holds a user or a password, and tags are stored in the "
                    "manifest\n"
                    "  Fix: keep them in an Airflow connection: provider.connection: my_connection."
                ),
            )
            for url in (
                "jdbc:postgresql://me:s3cret@h/shop",
                "jdbc:postgresql://h/shop?ssl=true&password=s3cret",
                "jdbc:sqlserver://h;databaseName=x;user=me",
                "jdbc:oracle:thin:me/s3cret@//h/x",
            )
        ),
        (
            {**SHOP, "provider_option_DBTABLE": "x"},
            "tag 'provider.option.DBTABLE' is not supported\n  Fix: set provider.table.",
        ),
        (
            {**SHOP, "provider_option_user": "x"},
            (
                "tag 'provider.option.user' is not supported\n"
                "  Fix: keep the user in an Airflow connection: provider.connection: my_connection."
            ),
        ),
        (
            {**SHOP, "provider_option_partitionColumn": "id", "provider_option_upperBound": 9},
            (
                "a read in parts needs lowerBound, numPartitions, partitionColumn, upperBound; "
                "missing: lowerBound, numPartitions\n"
                "  Fix: add provider.option.lowerBound, or remove the others."
            ),
        ),
    ],
)
def test_a_wrong_tag_says_what_would_be_right(tags: dict[str, Any], told: str) -> None:
    assert problems(**tags) == [f"entity 'shop.orders': {told}"]


def test_secrets_are_not_repeated_in_what_is_said_about_them() -> None:
    url = "jdbc:postgresql://me:s3cret@h/shop?password=s3cret"
    said = problems(provider_type="jdbc", provider_url=url, provider_option_password="s3cret")
    assert len(said) == 3
    assert "s3cret" not in "".join(said)


@pytest.mark.parametrize("entity_id", ["a.b.c.d", "shop orders", "größe", "x`y", "a..b"])
def test_an_id_that_is_no_table_name_needs_one(entity_id: str) -> None:
    assert problems(entity_id, provider_type="table") == [
        (
            f"entity {entity_id!r}: its id is not a valid name of a catalog table\n"
            "  Fix: name the table: provider.table: database.table."
        )
    ]


def test_a_tables_name_is_its_tag_or_its_id() -> None:
    assert table_name_of(EntityMetadata("shop.orders")) == ("shop", "orders")
    tags = {"provider.table": "a.b"}
    assert table_name_of(EntityMetadata("shop.orders", tags=tags)) == ("a", "b")


@pytest.mark.usefixtures("registered")
def test_types_of_other_distributions_are_known() -> None:
    assert problems(provider_type="avro", provider_anything=1) == []


@pytest.mark.usefixtures("registered")
def test_unknown_types_name_those_of_other_distributions_too() -> None:
    assert problems(provider_type="avor") == [
        (
            "entity 'shop.orders': unknown provider_type 'avor'. Did you mean 'avro'?\n"
            "  Fix: use one of avro, csv, delta, hudi, iceberg, jdbc, json, kafka, memory, "
            "parquet, rate, table, or 'package.module:Class'."
        )
    ]


@pytest.mark.usefixtures("registered")
def test_a_type_that_two_distributions_register_is_ambiguous() -> None:
    assert problems(provider_type="hudi") == [
        (
            "entity 'shop.orders': provider_type 'hudi' is registered more than once: "
            "another:Hudi, one:Hudi\n"
            "  Fix: uninstall one of the distributions, or write the class: "
            "provider_type: 'another:Hudi'."
        )
    ]


@pytest.mark.parametrize("text", ["a:B", "a.b_1:C.D", "größe:Ä"])
def test_class_references(text: str) -> None:
    assert is_class_reference(text)


@pytest.mark.parametrize("text", ["a", "a:", ":B", "a.:B", "a:B()", "a-b:C", "1a:B", "a:b:c", ""])
def test_what_is_no_class_reference(text: str) -> None:
    assert not is_class_reference(text)


@given(st.lists(st.sampled_from(["..", ".", "", "a", "..a", "_kindling", "ä b"])).map("/".join))
def test_a_path_without_problems_stays_beneath_the_warehouse(path: str) -> None:
    if path_problem(path) == "":
        depth = 0
        for part in path.split("/"):
            depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
            assert depth >= 0
        assert depth > 0


def partition_problems(kind: str, *columns: str) -> list[str]:
    entity = EntityMetadata("e", tags={"provider_type": kind}, partition_columns=columns)
    return entity_tag_problems(entity)


@pytest.mark.parametrize("kind", ["parquet", "table"])
def test_a_partition_column_whose_folders_spark_passes_over_is_refused(kind: str) -> None:
    [problem] = partition_problems(kind, "_day", "n", ".day")
    assert problem == (
        "entity 'e': partition column '.day' begins with a dot; Spark ignores folders with such "
        "names, so all rows would be lost\n  Fix: rename the column."
    )


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_format_with_a_log_finds_its_files_whatever_their_folders_are_called(kind: str) -> None:
    assert partition_problems(kind, ".day", "_day") == []


def test_a_column_that_partitions_twice_is_refused() -> None:
    [problem] = partition_problems("delta", "day", "n", "Day")
    assert problem == (
        "entity 'e': partition_columns has 'day' 2 times; upper and lower case are the same\n"
        "  Fix: name each column once."
    )
