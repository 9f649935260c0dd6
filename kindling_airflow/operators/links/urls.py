"""Where a task's buttons lead: addresses made of what drivers and deployments say.

What a driver prints is not trusted: only plain ``http`` and ``https`` addresses become links, and
whatever goes into one is percent-encoded.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

__all__ = ["history_url", "location_url", "safe_url"]

_HOST = re.compile(r"[A-Za-z0-9._\-]+|[0-9A-Fa-f:.]+")
_FIXED_HOST = re.compile(r"https?://[^/{}]+/")  # or a table's place might become the host
_CONSOLES = {
    "gs": "https://console.cloud.google.com/storage/browser/{bucket}/{path}",
    "s3": "https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={path}/",
    "s3a": "https://s3.console.aws.amazon.com/s3/buckets/{bucket}?prefix={path}/",
}


def safe_url(text: str) -> str:
    """Return an address if it is one that a browser may be sent to, else "".

    A user and a password in it are left out.
    """
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
        server: its address; a bare ``host:port`` is one as well.
        application_id: Spark's name for the run.
    """
    server = server.strip()
    if not server or not application_id:
        return ""
    base = safe_url(server if "://" in server else f"http://{server}").rstrip("/")
    return f"{base}/history/{quote(application_id, safe='')}/" if base else ""


def location_url(location: str, template: str = "", *, own_endpoint: bool = False) -> str:
    """Return the page on which a table's place can be looked at, or "".

    Args:
        location: a path or URI.
        template: the deployment's page, with ``{location}``, ``{scheme}``, ``{bucket}`` and
            ``{path}`` in it.
        own_endpoint: the object store is not that of the cloud provider.

    Raises:
        ValueError: the template is wrong.
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
    said = {"location": location, "scheme": scheme, "bucket": bucket, "path": path.strip("/")}
    try:
        filled = template.format_map({key: quote(text, safe="/") for key, text in said.items()})
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(f"{template!r} is no template: {error!r}") from error
    return safe_url(filled)
