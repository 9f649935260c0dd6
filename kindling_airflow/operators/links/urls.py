"""The addresses of a task's buttons, from what drivers report and the deployment configures.

What a driver prints is not trusted: only plain ``http`` and ``https`` addresses become links, and
values in them are percent-encoded.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from airflow.providers.common.compat.sdk import BaseHook, conf

__all__ = ["history_page", "history_url", "location_page", "location_url", "safe_url"]

log = logging.getLogger(__name__)
_HISTORY_PROPERTY = "spark.yarn.historyServer.address"
_HISTORY_EXTRA = "history-server"
_ENDPOINTS = ("spark.hadoop.fs.s3a.endpoint", "spark.hadoop.fs.s3.endpoint")
_HOST = re.compile(r"[A-Za-z0-9._\-]+|[0-9A-Fa-f:.]+")
_FIXED_HOST = re.compile(r"https?://[^/{}]+/")  # or a table's location might become the host
_CONSOLES = {
    "gs": "https://console.cloud.google.com/storage/browser/{bucket}/{path}",
    "s3": "https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={path}/",
    "s3a": "https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={path}/",
}


def safe_url(text: str) -> str:
    """Return an address without user and password if it is safe for a browser, else ""."""
    if not text.isascii() or not text.isprintable() or set(text) & set(" <>\"'`\\"):
        return ""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or _HOST.fullmatch(host) is None:
        return ""
    place = f"[{host}]" if ":" in host else host
    place = place if port is None else f"{place}:{port}"
    return urlunsplit((parts.scheme, place, parts.path, parts.query, parts.fragment))


def history_url(server: str, application_id: str) -> str:
    """Return a run's page in a Spark history server, or "".

    Args:
        server: its address, or ``host:port``.
        application_id: Spark's id of the run.
    """
    server = server.strip()
    if not server or not application_id:
        return ""
    base = safe_url(server if "://" in server else f"http://{server}").rstrip("/")
    return f"{base}/history/{quote(application_id, safe='')}/" if base else ""


def location_url(location: str, template: str = "", *, own_endpoint: bool = False) -> str:
    """Return the page that shows a table's location, or "".

    Args:
        location: a path or URI.
        template: the deployment's page, with ``{location}``, ``{scheme}``, ``{bucket}`` and
            ``{path}`` as placeholders.
        own_endpoint: the object store is not that of the cloud provider.

    Raises:
        ValueError: the template is invalid.
    """
    scheme, found, rest = location.partition("://")
    if not found:
        scheme, rest = "file", f"/{location.lstrip('/')}"
    bucket, _, path = rest.partition("/")
    if not template and scheme in ("http", "https"):
        return safe_url(location)
    if not template and not own_endpoint:
        template = _CONSOLES.get(scheme, "")
    if not template:
        return ""
    if _FIXED_HOST.match(template) is None:
        raise ValueError(f"{template!r} does not begin with http(s)://, a host and a slash")
    values = {"location": location, "scheme": scheme, "bucket": bucket, "path": path.strip("/")}
    try:
        filled = template.format_map({key: quote(text, safe="/") for key, text in values.items()})
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"{template!r} is not a valid template: {error!r}") from error
    return safe_url(filled)


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
