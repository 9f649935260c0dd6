"""Which pages a task's buttons lead to in this deployment."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow.providers.common.compat.sdk import BaseHook, conf

from kindling_airflow.operators.links.urls import history_url, location_url

__all__ = ["history_page", "location_page"]

log = logging.getLogger(__name__)
_HISTORY_PROPERTY = "spark.yarn.historyServer.address"
_HISTORY_EXTRA = "history-server"
_ENDPOINTS = ("spark.hadoop.fs.s3a.endpoint", "spark.hadoop.fs.s3.endpoint")


def history_page(properties: Mapping[str, Any], conn_id: str, application_id: str) -> str:
    """Return a run's page in the history server, or "" where there is none.

    The first that says one counts: Spark's property ``spark.yarn.historyServer.address``, the extra
    ``history-server`` of the Spark connection, ``[kindling] history_server``.

    Args:
        properties: the driver's Spark properties.
        conn_id: the Spark connection.
        application_id: Spark's name for the run.
    """
    said = str(properties.get(_HISTORY_PROPERTY) or "")
    if not said or "${" in said:  # the latter is for Hadoop's configuration to fill in
        said = _said_by_connection(conn_id) or conf.get("kindling", "history_server", fallback="")
    return history_url(said, application_id)


def location_page(properties: Mapping[str, Any], location: str) -> str:
    """Return a page that shows where a table lies, or "" where there is none.

    ``[kindling] location_url`` says which. Without it, the consoles of Google Cloud and AWS serve
    ``gs://`` and ``s3a://``, the latter unless Spark is sent to an endpoint of its own.
    """
    template = conf.get("kindling", "location_url", fallback="")
    own_endpoint = any(name in properties for name in _ENDPOINTS)
    try:
        return location_url(location, template, own_endpoint=own_endpoint)
    except ValueError as error:
        log.warning("[kindling] location_url makes no link: %s", error)
        return ""


def _said_by_connection(conn_id: str) -> str:
    with suppress(Exception):  # no such connection, or nobody to ask: no button either
        return str(BaseHook.get_connection(conn_id).extra_dejson.get(_HISTORY_EXTRA) or "")
    return ""
