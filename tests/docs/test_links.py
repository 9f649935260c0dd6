"""What the pages point at is there: pages, headings, pictures, files of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, generator, name, prose

LARGEST_PICTURE = 400_000
PNG = b"\x89PNG\r\n\x1a\n"

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_MENTION = re.compile(r"`((?:[\w.\-]+/)+[\w.\-]*)`")
_ABSOLUTE = re.compile(r"(?<![\w.:/}])/(?:work|home|root|tmp|usr|var|opt|srv|mnt|Users)/\w+")
# Where a file that a page mentions may lie: a page about the package may leave its name out, and
# the tutorial speaks of the reader's own folder.
_PLACES = (ROOT, ROOT / "kindling_airflow", DOCS / "examples" / "first_pipeline")
_OTHER_MENTIONS = {
    "_kindling/staging",  # in a warehouse
    "_kindling/previous",
}


def _targets(page: Path) -> list[str]:
    return [t for t in _LINK.findall(prose(page)) if not t.startswith(("http://", "https://"))]


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return set(plain)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in _targets(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_file_that_is_mentioned_exists(page: Path) -> None:
    mentioned = {m for m in _MENTION.findall(prose(page)) if Path(m).suffix or m.endswith("/")}
    missing = {
        mention
        for mention in mentioned - _OTHER_MENTIONS
        if not any((place / mention).exists() for place in _PLACES)
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_knows_the_machine_it_was_written_on(page: Path) -> None:
    assert _ABSOLUTE.findall(page.read_text("utf-8")) == []


def test_every_page_is_reached_from_the_index_and_its_sections() -> None:
    index = DOCS / "index.md"
    indices = [index, *DOCS.glob("*/index.md")]
    linked = {(page.parent / t).resolve() for page in indices for t in _targets(page)}
    assert [name(p) for p in sorted(DOCS.rglob("*.md")) if p not in {*linked, index}] == []
    assert index.resolve() in {(ROOT / t).resolve() for t in _targets(ROOT / "README.md")}


def test_pictures_are_small_pngs_and_all_are_shown() -> None:
    shown = {(page.parent / target).resolve() for page in PAGES for target in _targets(page)}
    for picture in sorted((DOCS / "images").iterdir()):
        content = picture.read_bytes()
        assert content.startswith(PNG) or picture in generator().FILES, picture.name
        assert len(content) < LARGEST_PICTURE, picture.name
        assert picture in shown, picture.name


def test_every_decision_has_its_four_parts() -> None:
    decisions = sorted((DOCS / "adr").glob("0*.md"))
    numbers = [page.name.partition("-")[0] for page in decisions]
    assert len(set(numbers)) == len(numbers)
    for number, page in zip(numbers, decisions, strict=True):
        text = page.read_text("utf-8")
        assert text.startswith(f"# {number}. ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
            *("Context", "Decision", "Consequences", "Violated when")
        ]
