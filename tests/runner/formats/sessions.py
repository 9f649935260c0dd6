"""A Spark session as the runner makes it for a format, with the format's jars."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.deployment.jars import FORMATS
from kindling_airflow.protocol.connections import Connection, variable_name
from kindling_airflow.runner.providers.session_properties import settings_for
from kindling_airflow.runner.providers.tables.catalogs import catalog_settings
from tests.runner.jars import format_jars

__all__ = ["catalog_conf", "session_for", "store_conf"]

# Hadoop starts a process for each file whose rights it sets on a local disk; a copied address space
# is most of what that costs.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djdk.lang.Process.launchMechanism=VFORK"


def session_for(kind: str, more: Mapping[str, str] | None = None) -> Any:
    """Return a small local session; the process must not have had one before.

    Args:
        kind: the formats, joined by a plus; ``postgresql`` stands for its driver.
        more: further properties.
    """
    from pyspark.sql import SparkSession

    kinds = kind.split("+")
    jars = [jar for name in kinds if name in FORMATS for jar in format_jars(name)]  # parquet: none
    builder = (
        SparkSession.builder.master("local[2]")
        .appName(f"tests of {kind}")
        .config("spark.jars", ",".join(map(str, jars)))
        .config("spark.driver.extraJavaOptions", _JAVA)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        # Code made for a query costs more than a few rows are worth.
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.databricks.delta.snapshotPartitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.log.level", "OFF")
    )
    for key, value in {**settings_for(set(kinds), lambda _key: None), **(more or {})}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def catalog_conf(name: str, address: str, warehouse: str) -> dict[str, str]:
    """Return the properties of a session for a catalog in a database, by its JDBC URL."""
    connection = Connection(conn_type="jdbc", host=address)
    entity = EntityMetadata("any", tags=_in_catalog(name))
    environment = {variable_name("catalog"): connection.dumps()}
    return catalog_settings([entity], environment, warehouse, lambda _key: None)


def store_conf() -> dict[str, str]:
    """Return the properties with which a session reaches the store that is tested."""
    return dict(json.loads(os.environ.get("KINDLING_TEST_CONF", "{}")))


def _in_catalog(name: str) -> dict[str, str]:
    kind = {"provider_type": "iceberg", "provider.connection": "catalog"}
    return {**kind, "provider.catalog": name}
