"""Builds the documentation site: ``make docs``.

The source folder is the repository, so that a link between pages is the same on the site and on the
hosting site's view of the files. Navigation is the index page: each ``##`` section of ``index.md``
becomes a part of the sidebar, its links the pages of that part; so do those of ``*/index.md``.
"""

from __future__ import annotations

import re
from importlib.metadata import version as installed
from typing import Any

project = "airflow-provider-kindling"
author = "The airflow-provider-kindling contributors"
version = release = installed(project)

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "tests/graphs/README.md"]
exclude_patterns = [".*", "build", "dist"]
myst_heading_anchors = 6  # the anchors that the hosting site gives headings
suppress_warnings = [
    "misc.highlighting_failure",  # output of commands and excerpts of JSON are shown as they are
]
nitpicky = True

html_theme = "furo"
html_title = f"{project} {version}"
html_extra_path = ["site"]  # a start page that leads to the index
html_show_copyright = False

_SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n?)*)", re.MULTILINE)
_PAGE = re.compile(r"\]\(((?!https?:)[^)\s#]+)\.md[)#]")


def navigation(index: str) -> str:
    """Return the tables of contents for the sidebar, one for each section of the index page."""
    parts = []
    for caption, body in _SECTION.findall(index):
        if pages := list(dict.fromkeys(_PAGE.findall(body))):
            entries = "\n".join(pages)
            parts.append(f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```")
    return "\n\n".join(parts)


def _add_navigation(_app: object, page: str, source: list[str]) -> None:
    if page == root_doc or page.endswith("/index"):
        source[0] += f"\n\n{navigation(source[0])}\n"


def setup(app: Any) -> dict[str, bool]:
    """Connect the navigation to Sphinx."""
    app.connect("source-read", _add_navigation)
    return {"parallel_read_safe": True}
