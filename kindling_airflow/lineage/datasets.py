"""What OpenLineage calls the place of an entity: a namespace and a name.

    /lake/silver.orders                   file                    /lake/silver.orders
    s3a://lake/tables/silver.orders       s3://lake               tables/silver.orders
    hdfs://namenode:8020/lake/orders      hdfs://namenode:8020    /lake/orders
    kafka://broker:9092/clicks            kafka://broker:9092     clicks

They are the names of OpenLineage's specification (version 1.54 of its client), so that a table has
the same name whichever tool reports it. A table of a catalog, whose place only the catalog knows,
is named by the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["dataset_name"]

# Hadoop's schemes of stores; those of the same store have one name.
_STORES = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "wasbs"}
# Stores whose objects have keys, without a slash in front.
_KEYS = ("s3", "gs", "kafka")
_CONTAINERS = ("abfss", "wasbs")  # container@account

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://([^/]*))?(/.*|)", re.DOTALL)
_JDBC = re.compile(r"jdbc:(?P<kind>[a-z0-9]+):(?://(?P<host>[^/;?]+))?/?(?P<database>[^?;]*)")
_CATALOGS = ("iceberg", "delta", "table")


def dataset_name(location: str, details: Mapping[str, Any] | None = None) -> tuple[str, str] | None:
    """Return the namespace and the name of a dataset; None where a place is not one.

    Args:
        location: a path, a URI, or a table's name, as in a report.
        details: more about it from the report: its ``format``, its ``folder`` or ``table``.

    >>> dataset_name("s3a://lake/tables/silver.orders/")
    ('s3://lake', 'tables/silver.orders')
    """
    details = details or {}
    kind = str(details.get("format", ""))
    if kind in _CATALOGS and "/" not in location:
        folder = details.get("folder")
        if folder:
            return dataset_name(str(folder))
        catalog, _, name = location.partition(".")
        return f"{kind}://{catalog}", name or catalog
    database = _JDBC.match(location)
    if database is not None:
        return _of_database(database, str(details.get("table") or details.get("query") or ""))
    if location.startswith("/"):
        return "file", location.rstrip("/") or "/"
    uri = _URI.fullmatch(location)
    return None if uri is None else _of_uri(uri)


def _of_uri(uri: re.Match[str]) -> tuple[str, str] | None:
    scheme = _STORES.get(uri[1].lower(), uri[1].lower())
    path = uri[3].rstrip("/")
    if scheme == "file":
        return "file", path or "/"
    host = uri[2] or ""
    if scheme not in _CONTAINERS:
        host = host.rpartition("@")[2].partition(",")[0]  # no user; of several brokers the first
    if not host:
        return None
    return f"{scheme}://{host}", (path.lstrip("/") if scheme in _KEYS else path) or "/"


def _of_database(found: re.Match[str], what: str) -> tuple[str, str]:
    kind = {"postgresql": "postgres"}.get(found["kind"], found["kind"])
    namespace = f"{kind}://{found['host']}" if found["host"] else kind
    return namespace, ".".join(filter(None, (found["database"], what)))
