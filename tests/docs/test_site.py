"""The documentation site: its navigation has every page, and it is built without a warning."""

from __future__ import annotations

import importlib.util
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT

NAVIGATION = runpy.run_path(str(DOCS / "conf.py"))["navigation"]


def entries(index: Path) -> set[Path]:
    """Return the pages that the sidebar has because of an index page."""
    lines = NAVIGATION(index.read_text("utf-8")).splitlines()
    pages = [line for line in lines if line[:1] not in ("", ":", "`")]
    return {(index.parent / f"{page}.md").resolve() for page in pages}


def test_a_section_with_links_to_pages_is_a_part_of_the_sidebar() -> None:
    index = "# Top\n[x](x.md)\n\n## One\n- [a](a.md), [b](sub/b.md#c), [a](a.md)\n\n## Two\nnone\n"
    assert NAVIGATION(index) == ("```{toctree}\n:hidden:\n:caption: One\n\na\nsub/b\n```")


def test_every_page_is_in_the_sidebar() -> None:
    index = DOCS / "index.md"
    found = {index, *entries(index), *entries(DOCS / "adr" / "index.md")}
    assert set(PAGES) - found == set()


@pytest.mark.system
@pytest.mark.skipif(importlib.util.find_spec("sphinx") is None, reason="Sphinx needs Python 3.11")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-qnW", "--keep-going", "-c", "docs", ".", tmp_path],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout
    start = (tmp_path / "index.html").read_text("utf-8")
    assert "url=docs/index.html" in start
    for page in ("docs/index.html", "docs/tutorial.html", "README.html", "search.html"):
        assert (tmp_path / page).is_file()
    assert 'href="tutorial.html"' in (tmp_path / "docs" / "index.html").read_text("utf-8")
