"""The identifier of an entity as an Airflow asset: one text that is its name and its URI.

Airflow wants names unique and URIs unique; who breaks that fails its tasks at their start. With one
text for both there is nothing to get out of step. The same entity under the same warehouse is one
table, whatever definition writes it, and so one asset; under another warehouse it is another:

    warehouse of the deployment        warehouse/silver.orders
    warehouse: s3a://lake/tables       s3a://lake/tables/silver.orders
    warehouse: /lake/{{ ds }}          lake/{{ ds }}/silver.orders, escaped

An absolute path loses its slash, for nothing in a DAG begins with a place on a machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kindling_airflow.translator.task_ids import escaped

_URI = re.compile(r"([a-z][a-z0-9+.\-]*)://(.+)", re.DOTALL)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-/:@]")
_SECRET = re.compile(r"^[^/@]*:[^/@]*@")  # user and password in front of a host
_RESERVED = "airflow"  # a scheme that Airflow keeps for itself


def asset_namespace(warehouse: str | None) -> str:
    """Return what the identifiers of the entities in a warehouse begin with.

    >>> asset_namespace(None), asset_namespace("s3a://lake/tables/"), asset_namespace("/lake/a b")
    ('warehouse', 's3a://lake/tables', 'lake/a%20b')
    """
    place_text = warehouse or ""
    uri = _URI.fullmatch(place_text)
    scheme = f"{uri[1]}://" if uri and uri[1] != _RESERVED else ""
    place = _SECRET.sub("", uri[2]) if uri else place_text
    path = _UNSAFE.sub(_percent, place).strip("/")
    return f"{scheme}{path}" if path else "warehouse"


def asset_identifier(namespace: str) -> Callable[[str], str]:
    """Return a function from an entity's id to its identifier; injective, and bounded as ids are.

    >>> asset_identifier("warehouse")("silver.orders")
    'warehouse/silver.orders'
    """
    return lambda entity_id: f"{namespace}/{escaped(entity_id)}"


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
