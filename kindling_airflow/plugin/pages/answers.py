"""HTML and JSON answers, with headers that let a page do only what it has to.

A page may run the one script and the one style that it was sent with, named by their digests, and
ask the server that it came from. Only Airflow's own UI may show it in a frame.
"""

from __future__ import annotations

import base64
import hashlib
import html

from fastapi import Response

__all__ = ["html_answer", "json_answer", "text_answer"]

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def html_answer(page: str, *, style: str, script: str, status: int = 200) -> Response:
    """Return a page as an answer.

    Args:
        page: the whole document.
        style: the text of its one style element; "" for none.
        script: the text of its one script element; "" for none.
        status: the HTTP status.
    """
    asked = "connect-src 'self'; " if script else ""
    policy = (
        f"default-src 'none'; style-src {_named(style)}; script-src {_named(script)}; {asked}"
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    headers = {**_HEADERS, "Content-Security-Policy": policy}
    return Response(page, status, headers, media_type="text/html; charset=utf-8")


def text_answer(title: str, text: str, status: int = 200) -> Response:
    """Return a page that says one thing."""
    style = "body { margin: 2rem; color: #777; font: 15px system-ui, sans-serif; }"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><style>{style}</style>'
        f"<title>{html.escape(title)}</title></head><body><p>{html.escape(text)}</p></body></html>"
    )
    return html_answer(page, style=style, script="", status=status)


def json_answer(text: str, status: int = 200) -> Response:
    """Return a JSON document as an answer."""
    headers = {**_HEADERS, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
    return Response(text, status, headers, media_type="application/json")


def _named(text: str) -> str:
    if not text:
        return "'none'"
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
