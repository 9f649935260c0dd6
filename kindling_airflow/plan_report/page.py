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
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.plan_report.page_data import one_line, page_data

__all__ = ["plan_page"]

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
    style, script = _asset("page.css"), _script()
    name = one_line(title or f"Execution plan ({plan.strategy})")
    parts = {
        "policy": _policy(style, script),
        "title": html.escape(name).encode("ascii", "xmlcharrefreplace").decode(),
        "style": style,
        "plan": json.dumps(page_data(plan, durations), separators=(",", ":")).translate(_INERT),
        "script": script,
    }
    return _SLOT.sub(lambda slot: parts[slot[1]], _asset("page.html"))


@cache
def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text("utf-8").strip()


@cache
def _script() -> str:
    # In its own function, so that it defines no global names of the page.
    parts = "\n\n".join(map(_asset, _SCRIPTS))
    return f'(() => {{\n"use strict";\n\n{parts}\n}})();'


def _policy(style: str, script: str) -> str:
    def named(text: str) -> str:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    return (
        f"default-src 'none'; style-src {named(style)}; script-src {named(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
