"""The properties of a session that catalogs of Iceberg need, and what its connection gives them.

    provider.catalog: lake            spark.sql.catalog.lake            = ...SparkCatalog
    provider.connection: lake_db  ->  spark.sql.catalog.lake.type       = jdbc
    Airflow connection lake_db        spark.sql.catalog.lake.uri        = jdbc:postgresql://...
    of type postgres                  spark.sql.catalog.lake.jdbc.user, .jdbc.password
                                      spark.sql.catalog.lake.warehouse  = <warehouse>/_catalog/lake

What the deployment has set under ``spark.sql.catalog.lake`` stays. A password reaches the driver in
its environment, and is a property of the session from then on: Spark replaces the values of such
keys in its UI, its event log and its logs (``spark.redaction.regex``, which is extended here where
it does not know them).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.protocol.connections import Connection, read_connection
from kindling_airflow.runner.providers.jdbc import jdbc_url
from kindling_airflow.tags.names import CONNECTION_TAG
from kindling_airflow.tags.paths import is_named, table_name_of
from kindling_airflow.tags.storage_types import provider_type_of

__all__ = ["CATALOG_CLASS", "catalog_settings", "connection_settings"]

CATALOG_CLASS = "org.apache.iceberg.spark.SparkCatalog"

_REDACTION = "spark.redaction.regex"
_REDACTED = "(?i)secret|password|token|access[.]?key"  # Spark's default
_SECRETS = ("credential", "jdbc.password", "token")
_REST_TYPES = ("http", "https", "iceberg", "rest")
_HIVE_TYPES = ("hive", "hive_metastore", "hiveserver2", "thrift")

Configured = Callable[[str], str | None]


def catalog_settings(
    entities: Iterable[EntityMetadata],
    environment: Mapping[str, str],
    warehouse: str,
    configured: Configured,
) -> dict[str, str]:
    """Return the properties that a session lacks for the catalogs that entities are in.

    Args:
        entities: what pipes read and write.
        environment: the driver's, which brings connections.
        warehouse: the root of a catalog whose warehouse is not set.
        configured: returns what the deployment has set.

    Raises:
        EntityError: a connection is missing, or no catalog can be derived from it.
    """
    found: dict[str, str] = {}
    for entity in entities:
        if provider_type_of(entity) != "iceberg" or not is_named(entity):
            continue
        name = table_name_of(entity)[0]
        prefix = f"spark.sql.catalog.{name}"
        needed: dict[str, str] = {}
        if CONNECTION_TAG in entity.tags:
            connection = read_connection(str(entity.tags[CONNECTION_TAG]), environment)
            needed = connection_settings(entity, connection)
        kind = configured(f"{prefix}.type") or needed.get("type")
        if kind is None and configured(prefix) is None:
            continue  # the provider says what is missing
        if kind == "jdbc":
            needed |= {
                "jdbc.schema-version": "V1",
                "warehouse": f"{warehouse.rstrip('/')}/_catalog/{name}",
            }
        needed = {"cache-enabled": "false", **needed}
        given = {f"{prefix}.{key}": value for key, value in needed.items()}
        found |= {key: value for key, value in given.items() if configured(key) is None}
        if configured(prefix) is None:
            found[prefix] = CATALOG_CLASS
    return found | _redaction(found, configured(_REDACTION))


def connection_settings(entity: EntityMetadata, connection: Connection) -> dict[str, str]:
    """Return the properties of a catalog that an Airflow connection stands for.

    Its extra ``catalog`` has further ones, such as the ``warehouse`` of a REST catalog.

    Raises:
        EntityError: its type is none from which a catalog can be derived.
    """
    login, password = connection.login, connection.password
    own = connection.extra.get("catalog") or {}
    more = {str(key): str(value) for key, value in own.items()}
    url = jdbc_url(connection)
    if url is not None:
        account = {"jdbc.user": login, "jdbc.password": password}
        found = {"type": "jdbc", "uri": url, **account}
    elif connection.conn_type in _REST_TYPES:
        secret = {"credential": f"{login}:{password}"} if login else {"token": password}
        found = {"type": "rest", "uri": _address(connection, "https"), **secret}
    elif connection.conn_type in _HIVE_TYPES:
        found = {"type": "hive", "uri": _address(connection, "thrift")}
    else:
        raise EntityError(
            f"entity {entity.entityid!r}: no catalog can be derived from its connection of type "
            f"{connection.conn_type!r}\n"
            "  Fix: use one of the types postgres, mysql, sqlite, jdbc (JDBC catalog), iceberg, "
            "http (REST catalog), hive_metastore; or remove provider.connection, and set "
            "spark.sql.catalog.NAME.type and its properties in 'spark.conf'."
        )
    return {key: value for key, value in found.items() if value} | more


def _address(connection: Connection, scheme: str) -> str:
    host = connection.host if "://" in connection.host else f"{scheme}://{connection.host}"
    return host if connection.port is None else f"{host.rstrip('/')}:{connection.port}"


def _redaction(found: Mapping[str, str], configured: str | None) -> dict[str, str]:
    """Return the pattern of keys whose values Spark hides, if it must be extended."""
    known = configured or _REDACTED
    secret = [key for key in found if key.endswith(tuple(f".{name}" for name in _SECRETS))]
    try:
        hidden = re.compile(known)
    except re.error:  # one of Java's own
        hidden = re.compile(r"(?!)")
    missing = [key for key in secret if hidden.search(key) is None]
    if not missing:
        return {}
    return {_REDACTION: "|".join((known, *(re.escape(key) for key in missing)))}
