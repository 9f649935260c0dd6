"""The names of datasets as OpenLineage has them, so that several tools speak of one dataset.

See https://openlineage.io/docs/spec/naming: a namespace (the store) and a name in it.

    /data/lake/orders            file                  /data/lake/orders
    s3a://lake/tables/orders     s3://lake             tables/orders
    hdfs://nn:8020/lake/orders   hdfs://nn:8020        /lake/orders
    kafka://a:9092,b:9092/clicks kafka://a:9092        clicks
"""

from __future__ import annotations

import re

__all__ = ["dataset_name"]

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/]*)(/.*)?", re.DOTALL)
_SAME = {"s3a": "s3", "s3n": "s3", "abfs": "abfss", "wasb": "wasbs"}
_KEYS = frozenset({"s3", "gs"})  # whose names are keys, without a slash in front


def dataset_name(location: str) -> tuple[str, str] | None:
    """Return the namespace and the name of what lies at a place; None where there are none.

    >>> dataset_name("s3a://lake/tables/orders"), dataset_name("file:/data/orders/")
    (('s3://lake', 'tables/orders'), ('file', '/data/orders'))
    >>> dataset_name("memory:orders") is None
    True
    """
    place = location.rstrip("/") or location
    if place.startswith("file:"):
        place = "/" + place.removeprefix("file:").lstrip("/")
    if place.startswith("/"):
        return "file", place
    found = _URI.fullmatch(place)
    if found is None:
        return None
    scheme = _SAME.get(found[1].lower(), found[1].lower())
    host, path = found[2].rpartition("@")[2] if scheme != "abfss" else found[2], found[3] or ""
    if scheme == "kafka":
        return f"kafka://{host.partition(',')[0]}", path.lstrip("/")
    if not host:
        return None
    return f"{scheme}://{host}", path.lstrip("/") if scheme in _KEYS else path or "/"
