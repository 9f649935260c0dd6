"""Hands Airflow connections to a driver, by the environment of its process and by nothing else.

The provider's own ``env_vars`` will not do: on YARN and Kubernetes they become Spark settings, and
so stand on the command line, in the Spark UI and in its event log.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from airflow.providers.apache.spark.hooks.spark_submit import SparkSubmitHook
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowNotFoundException,
    BaseHook,
)

from kindling_airflow.protocol.connections import Connection, variable_name

__all__ = ["hand_over"]


def hand_over(hook: SparkSubmitHook, conn_ids: Sequence[str]) -> SparkSubmitHook:
    """Return the hook so changed that the process that it starts has these connections.

    In cluster deploy mode the driver is no child of the task: nothing is looked up, and the
    deployment has to set the driver's variables (:func:`variable_name`) itself.

    Args:
        hook: the provider's hook, before it submits.
        conn_ids: the connections; where Airflow has one not, a variable of the worker counts.

    Raises:
        AirflowFailException: there is no such connection; names all that are missing.
    """
    if not conn_ids or hook._connection["deploy_mode"] == "cluster":
        return hook
    variables = _variables(conn_ids)
    build = hook._build_spark_submit_command

    def build_then_add(application: str) -> list[str]:
        command = build(application)  # makes settings of the variables it knows of
        hook._env = {**(hook._env or {}), **variables}
        return command

    hook._build_spark_submit_command = build_then_add  # type: ignore[method-assign]
    return hook


def _variables(conn_ids: Sequence[str]) -> dict[str, str]:
    found, missing = {}, []
    for conn_id in conn_ids:
        name = variable_name(conn_id)
        try:
            found[name] = _as_handed(BaseHook.get_connection(conn_id)).dumps()
        except AirflowNotFoundException:
            if name not in os.environ:
                missing.append(conn_id)
    if missing:
        raise AirflowFailException(
            f"Airflow has no connection {', '.join(map(repr, missing))}, which entities of this "
            "pipe name in their tag provider.connection\n"
            "  Fix: add the connection in Airflow, then clear this task."
        )
    return found


def _as_handed(connection: Any) -> Connection:
    return Connection(
        conn_type=connection.conn_type or "",
        host=connection.host or "",
        port=connection.port,
        schema=connection.schema or "",
        login=connection.login or "",
        password=connection.password or "",  # masked in logs by Airflow, from here on
        extra=connection.extra_dejson,
    )
