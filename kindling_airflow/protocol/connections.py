"""Passes a database's credentials from Airflow to a Spark driver, by its environment.

    Airflow connection  --operator-->  environment of the driver's process  --provider-->  database

The environment of a process is read by its own user alone. It stands neither on a command line nor
in Spark's settings, which the Spark UI and its event log show. The same variables may be set by
hand, for a run without Airflow; there the ones that Airflow itself knows do as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.errors import EntityError

__all__ = ["Connection", "read_connection", "variable_name"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_]|(?<=_)_")


@dataclass(frozen=True, slots=True)
class Connection:
    """An Airflow connection, as far as a driver needs it.

    Attributes:
        conn_type: Airflow's name of the kind: ``postgres``, ``jdbc``, ...
        host, port, schema, login, password: as in Airflow.
        extra: further settings by name.
    """

    conn_type: str = ""
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=lambda: EMPTY, repr=False)

    def dumps(self) -> str:
        """Return the connection as the value of its variable."""
        document = {name: getattr(self, name) for name in _FIELDS}
        return json.dumps({**document, "extra": dict(self.extra)}, default=dict)


_FIELDS = ("conn_type", "host", "port", "schema", "login", "password")


def variable_name(conn_id: str) -> str:
    """Return the environment variable that brings a connection; different ids, different names.

    >>> variable_name("shop_db"), variable_name("shop-db"), variable_name("Shop")
    ('KINDLING_CONN_shop_db', 'KINDLING_CONN_shop__2Ddb', 'KINDLING_CONN_Shop')
    """
    raw = conn_id.encode("utf-8", "surrogatepass").decode("latin-1")  # a character for each byte
    return "KINDLING_CONN_" + _UNSAFE.sub(lambda found: f"__{ord(found[0]):02X}", raw)


def read_connection(conn_id: str, environment: Mapping[str, str]) -> Connection:
    """Return the connection that the environment brings.

    Its value is a JSON object, or a URI as Airflow writes connections.

    Raises:
        EntityError: it brings none of this id, or nothing that can be read. The message never
            holds the value.
    """
    own, airflows = variable_name(conn_id), f"AIRFLOW_CONN_{conn_id.upper()}"
    name = own if own in environment else airflows
    text = environment.get(name)
    if text is None:
        raise EntityError(
            f"the driver has no connection {conn_id!r}: its environment holds neither {own} nor "
            f"{airflows}\n"
            "  Fix: in Airflow, add the connection (in client and local deploy mode the task "
            "passes it on); elsewhere set one of these variables for the driver, to a URI or JSON."
        )
    try:
        return _from_json(text) if text.lstrip().startswith("{") else _from_uri(text)
    except ValueError:
        pass  # not chained: the value must not be seen
    raise EntityError(
        f"the value of {name} is not a connection\n  Fix: write it as a URI "
        "(postgres://user:password@host:5432/shop) or as a JSON object "
        "with conn_type, host, port, schema, login, password, extra."
    )


def _from_json(text: str) -> Connection:
    document = json.loads(text)
    port, extra = document.get("port"), document.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    if not isinstance(extra, dict):
        raise ValueError  # noqa: TRY004 (one error for whatever is wrong with the value)
    texts = {name: str(document.get(name) or "") for name in _FIELDS if name != "port"}
    return Connection(**texts, port=int(port) if port else None, extra=extra)


def _from_uri(text: str) -> Connection:
    parts = urlsplit(text)
    if not parts.scheme:
        raise ValueError
    account, _, place = parts.netloc.rpartition("@")
    login, _, password = account.partition(":")
    host, _, port = place.partition(":")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return _from_json(
        json.dumps(
            {
                "conn_type": {"postgresql": "postgres"}.get(parts.scheme, parts.scheme),
                "host": unquote(host),
                "port": port,
                "schema": unquote(parts.path.removeprefix("/")),
                "login": unquote(login),
                "password": unquote(password),
                "extra": query.get("__extra__") or query,
            }
        )
    )
