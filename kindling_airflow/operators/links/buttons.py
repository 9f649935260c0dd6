"""The buttons, and their pages in this deployment.

Airflow reads a button's address from an XCom of the task, which it writes when the task ends. The
operator writes it as soon as it has the address, so that the button to Spark's own pages works
while they exist.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook, BaseOperatorLink, conf

from kindling_airflow.operators.links.urls import history_url, location_url

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["EntityLocationLink", "SparkPagesLink", "history_page", "location_page"]

log = logging.getLogger(__name__)
_HISTORY_PROPERTY = "spark.yarn.historyServer.address"
_HISTORY_EXTRA = "history-server"
_ENDPOINTS = ("spark.hadoop.fs.s3a.endpoint", "spark.hadoop.fs.s3.endpoint")


class _Button(BaseOperatorLink):
    """A button whose address the operator holds, by the button's name."""

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """Return the address, or ""."""
        return str(getattr(operator, "link_urls", {}).get(self.name, ""))


class SparkPagesLink(_Button):
    """To the driver's own pages while it runs, then to the history server."""

    name = "Spark"


class EntityLocationLink(_Button):
    """To where the table lies, if there is a page for it."""

    name = "Table"


def history_page(properties: Mapping[str, Any], conn_id: str, application_id: str) -> str:
    """Return a run's page in the history server, or "".

    The first that is set counts: Spark's property ``spark.yarn.historyServer.address``, the extra
    ``history-server`` of the Spark connection, ``[kindling] history_server``.

    Args:
        properties: the driver's Spark properties.
        conn_id: the Spark connection.
        application_id: Spark's id of the run.
    """
    server = str(properties.get(_HISTORY_PROPERTY) or "")
    if not server or "${" in server:  # the latter is expanded by Hadoop's configuration
        server = conf.get("kindling", "history_server", fallback="")
        with suppress(Exception):  # no such connection, or Airflow does not answer
            extra = BaseHook.get_connection(conn_id).extra_dejson.get(_HISTORY_EXTRA)
            server = str(extra or "") or server
    return history_url(server, application_id)


def location_page(properties: Mapping[str, Any], location: str) -> str:
    """Return a page that shows a table's location, or "".

    Set by ``[kindling] location_url``. Default: the consoles of Google Cloud and AWS for ``gs://``
    and ``s3a://``, the latter unless Spark is configured with a custom endpoint.
    """
    template = conf.get("kindling", "location_url", fallback="")
    own_endpoint = any(name in properties for name in _ENDPOINTS)
    try:
        return location_url(location, template, own_endpoint=own_endpoint)
    except ValueError as error:
        log.warning("[kindling] location_url is invalid: %s", error)
        return ""
