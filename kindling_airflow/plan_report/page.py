"""``plan_page``: a plan as one HTML file that people can open, search and zoom.

The page needs no network, and its content security policy forbids it any: no address may be
loaded, and no script or style may run but the two in it, named by their digests. What comes from
the plan is data: JSON in which no character can end the element that contains it, and which the
page shows as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.plan_report.page_data import one_line, page_data

__all__ = ["WebPage", "plan_page", "web_page"]

_SCRIPTS = ("model.js", "map.js", "panel.js", "controls.js")
_SLOT = re.compile(r"\{\{(\w+)\}\}")
# Every character that could end a script element, start a comment in it, or be read as markup.
_INERT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def plan_page(
    plan: ExecutionPlan,
    title: str | None = None,
    durations: Mapping[str, float] | None = None,
) -> str:
    """Return a valid plan as an HTML page; same plan, same page.

    Args:
        plan: the plan.
        title: the page's title; a general one when not given.
        durations: seconds by pipe id; see :func:`~kindling_airflow.plan_report.durations_of`.

    Raises:
        ForecastError: a duration is not a positive number.
    """
    name = one_line(title or f"Execution plan ({plan.strategy})")
    return web_page(name, page_data(plan, durations)).text


@dataclass(frozen=True, slots=True)
class WebPage:
    """A page with the texts of its one style and its one script, which a policy has to name."""

    text: str
    style: str
    script: str


def web_page(
    title: str,
    data: Mapping[str, Any],
    *,
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    asks_its_server: bool = False,
) -> WebPage:
    """Return the page that draws a plan.

    Args:
        title: the page's title, in one line.
        data: the plan as :func:`~kindling_airflow.plan_report.page_data.page_data` returns it, and
            what further scripts need.
        scripts: further scripts; they run before the page starts, and see what its own define.
        styles: further styles.
        asks_its_server: whether the scripts may ask the server that the page came from.
    """
    style, script = "\n".join((_asset("page.css"), *styles)), _script(tuple(scripts))
    parts = {
        "policy": _policy(style, script, asks_its_server=asks_its_server),
        "title": html.escape(title).encode("ascii", "xmlcharrefreplace").decode(),
        "style": style,
        "plan": json.dumps(data, separators=(",", ":")).translate(_INERT),
        "script": script,
    }
    return WebPage(_SLOT.sub(lambda slot: parts[slot[1]], _asset("page.html")), style, script)


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8").strip()


@cache
def _script(more: tuple[str, ...]) -> str:
    # In its own function, so that it defines no global names of the page. The last one starts it.
    *own, last = map(_asset, _SCRIPTS)
    parts = "\n\n".join((*own, *more, last))
    return f'(() => {{\n"use strict";\n\n{parts}\n}})();'


def _policy(style: str, script: str, *, asks_its_server: bool) -> str:
    def named(text: str) -> str:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    asked = "connect-src 'self'; " if asks_its_server else ""
    return (
        f"default-src 'none'; style-src {named(style)}; script-src {named(script)}; {asked}"
        "base-uri 'none'; form-action 'none'"
    )
