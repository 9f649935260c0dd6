"""What a session is given for the catalogs of Iceberg's tables; no Spark is needed to know it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import variable_name
from kindling_airflow.runner.providers.tables.catalogs import catalog_settings

LAKE = "spark.sql.catalog.lake"
SPARK_CATALOG = "org.apache.iceberg.spark.SparkCatalog"
DEFAULT_REDACTION = "(?i)secret|password|token|access[.]?key"


def settings(
    connection: dict[str, Any] | None, configured: dict[str, str] | None = None, **tags: Any
) -> dict[str, str]:
    known = {"provider_type": "iceberg", "provider.catalog": "lake", **tags}
    environment = {}
    if connection is not None:
        known["provider.connection"] = "lake-db"
        environment[variable_name("lake-db")] = json.dumps(connection)
    entity = EntityMetadata("silver.orders", tags={k: v for k, v in known.items() if v})
    found = catalog_settings([entity], environment, "s3a://lake/w/", (configured or {}).get)
    return {key.removeprefix(f"{LAKE}."): value for key, value in found.items()}


POSTGRES = {
    "conn_type": "postgres",
    "host": "db",
    "port": 5432,
    "schema": "lake",
    "login": "kindling",
    "password": "hidden",
}


def test_a_connection_to_a_database_is_a_jdbc_catalog() -> None:
    assert settings(POSTGRES) == {
        LAKE: SPARK_CATALOG,
        "type": "jdbc",
        "uri": "jdbc:postgresql://db:5432/lake",
        "jdbc.user": "kindling",
        "jdbc.password": "hidden",
        "jdbc.schema-version": "V1",
        "warehouse": "s3a://lake/w/_catalog/lake",
        "cache-enabled": "false",
    }


def test_what_the_deployment_has_set_stays() -> None:
    configured = {
        LAKE: "shop.Catalog",
        f"{LAKE}.warehouse": "s3a://other",
        f"{LAKE}.cache-enabled": "true",
        f"{LAKE}.jdbc.user": "other",
    }
    found = settings({**POSTGRES, "extra": {"catalog": {"jdbc.ssl": "true"}}}, configured)
    assert found == {
        "type": "jdbc",
        "uri": "jdbc:postgresql://db:5432/lake",
        "jdbc.password": "hidden",
        "jdbc.schema-version": "V1",
        "jdbc.ssl": "true",
    }


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        (
            {"conn_type": "iceberg", "host": "https://c", "login": "id", "password": "hidden"},
            {"type": "rest", "uri": "https://c", "credential": "id:hidden"},
        ),
        (
            {"conn_type": "http", "host": "c", "port": 8181, "password": "t"},
            {"type": "rest", "uri": "https://c:8181", "token": "t"},
        ),
        (
            {"conn_type": "hive_metastore", "host": "meta", "port": 9083},
            {"type": "hive", "uri": "thrift://meta:9083"},
        ),
    ],
)
def test_other_connections_are_catalogs_of_their_kinds(
    connection: dict[str, Any], expected: dict[str, str]
) -> None:
    found = settings(connection)
    redaction = found.pop("spark.redaction.regex", DEFAULT_REDACTION)
    assert found == {LAKE: SPARK_CATALOG, "cache-enabled": "false", **expected}
    for key in expected:
        if key in ("credential", "token", "jdbc.password"):
            assert re.search(redaction, f"{LAKE}.{key}")


@pytest.mark.parametrize("pattern", ["(?i)geheim", "(?<broken"])
def test_spark_hides_the_password_whatever_else_it_is_to_hide(pattern: str) -> None:
    found = settings(POSTGRES, {"spark.redaction.regex": pattern})
    added = re.escape(f"{LAKE}.jdbc.password")
    assert found["spark.redaction.regex"] == f"{pattern}|{added}"


def test_a_catalog_of_the_session_alone_needs_its_type() -> None:
    assert settings(None) == {}
    assert settings(None, {f"{LAKE}.type": "rest"}) == {
        LAKE: SPARK_CATALOG,
        "cache-enabled": "false",
    }


def test_a_named_table_takes_its_catalog_from_the_name() -> None:
    found = settings(POSTGRES, **{"provider.catalog": "", "provider.table": "lake.shop.orders"})
    assert found["type"] == "jdbc"


def test_tables_in_folders_need_no_catalog() -> None:
    assert settings(None, **{"provider.catalog": "", "provider.path": "x"}) == {}
    assert settings(None, provider_type="parquet") == {}


def test_a_connection_that_is_no_catalog_is_refused() -> None:
    with pytest.raises(EntityError) as raised:
        settings({**POSTGRES, "conn_type": "ftp"})
    assert str(raised.value) == (
        "entity 'silver.orders': no catalog can be derived from its connection of type 'ftp'\n"
        "  Fix: use one of the types postgres, mysql, sqlite, jdbc (JDBC catalog), iceberg, http "
        "(REST catalog), hive_metastore; or remove provider.connection, and set "
        "spark.sql.catalog.NAME.type and its properties in 'spark.conf'."
    )
    with pytest.raises(EntityError, match="holds neither KINDLING_CONN_lake_db nor"):
        catalog_settings(
            [
                EntityMetadata(
                    "a",
                    tags={
                        "provider_type": "iceberg",
                        "provider.catalog": "lake",
                        "provider.connection": "lake_db",
                    },
                )
            ],
            {},
            "w",
            {}.get,
        )
