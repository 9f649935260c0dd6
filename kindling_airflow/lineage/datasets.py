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

__all__ = ["SCHEMES", "dataset_name"]

# Hadoop's schemes of stores; those of the same store have one name.
_STORES = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "wasbs"}
# Stores whose objects have keys, without a slash in front.
_KEYS = ("s3", "gs", "kafka")
SCHEMES = ("abfs", "abfss", "dbfs", "hdfs", "s3a", "s3n", "viewfs", "wasb", "wasbs")
"""Schemes of assets that this package can name for OpenLineage, and Airflow's providers cannot."""

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://([^/]*))?(/.*|)", re.DOTALL)
_JDBC = re.compile(r"jdbc:(?P<kind>[a-z0-9]+):(?://(?P<host>[^/;?]+))?/?(?P<database>[^?;]*)")
_CATALOGS = ("iceberg", "delta", "table")


def dataset_name(location: str, details: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Return the namespace and the name of a dataset.

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
    uri = _URI.fullmatch(location)
    if uri is None:
        return "file", location.rstrip("/") or "/"
    scheme = _STORES.get(uri[1].lower(), uri[1].lower())
    path = uri[3].rstrip("/")
    if scheme == "file":
        return "file", path or "/"
    namespace = f"{scheme}://{uri[2]}" if uri[2] else scheme
    if scheme in _KEYS:
        path = path.lstrip("/")
    return namespace, path or "/"


def _of_database(found: re.Match[str], what: str) -> tuple[str, str]:
    kind = {"postgresql": "postgres"}.get(found["kind"], found["kind"])
    namespace = f"{kind}://{found['host']}" if found["host"] else kind
    return namespace, ".".join(filter(None, (found["database"], what)))
