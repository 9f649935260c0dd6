"""The addresses of a task's buttons, from what drivers report and the deployment configures.

What a driver prints is not trusted: only plain ``http`` and ``https`` addresses become links, and
values in them are percent-encoded.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

__all__ = ["history_url", "location_url", "safe_url"]

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
