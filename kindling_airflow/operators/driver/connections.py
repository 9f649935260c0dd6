"""Airflow connections as variables of a driver's environment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    BaseHook,
)

from kindling_airflow.protocol.connections import Connection, variable_name

__all__ = ["connection_variables"]


def connection_variables(conn_ids: Sequence[str]) -> dict[str, str]:
    """Return the variables that hold connections, by name.

    Args:
        conn_ids: the connections. One that Airflow does not have may be a variable of the worker.

    Raises:
        AirflowFailException: connections are missing; names all of them.
    """
    found, missing = {}, []
    for conn_id in conn_ids:
        name = variable_name(conn_id)
        try:
            found[name] = _handed(BaseHook.get_connection(conn_id)).dumps()
        except AirflowNotFoundException:
            if name not in os.environ:
                missing.append(conn_id)
    if missing:
        raise AirflowFailException(
            f"Airflow has no connection {', '.join(map(repr, missing))}, named by the tag "
            "provider.connection of entities of this pipe\n"
            "  Fix: add the connection in Airflow, then clear this task."
        )
    return found


def _handed(connection: Any) -> Connection:
    return Connection(
        conn_type=connection.conn_type or "",
        host=connection.host or "",
        port=connection.port,
        schema=connection.schema or "",
        login=connection.login or "",
        password=connection.password or "",  # masked in logs by Airflow, from here on
        extra=connection.extra_dejson,
    )
