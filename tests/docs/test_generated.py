"""The parts of the pages that follow from the code are what the code says now."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, generator, name

REMEDY = "run: python docs/generate.py"
generate: Any = generator()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    assert generate.renewed(page) == page.read_text("utf-8"), REMEDY


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_mark_is_closed(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.count("<!-- generated: ") == text.count("<!-- end -->")
    assert len(generate._PART.findall(text)) == text.count("<!-- end -->")


def test_a_part_that_is_out_of_date_is_made_anew(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- generated: file dags/kindling_dags.py -->\nold\n<!-- end -->\nb\n")
    code = (ROOT / "dags" / "kindling_dags.py").read_text()
    assert generate.renewed(page) == (
        "a\n<!-- generated: file dags/kindling_dags.py -->\n"
        f"```python\n{code}```\n"
        "<!-- end -->\nb\n"
    )


@pytest.mark.parametrize("path", [(), ("project",), ("dag_run",), ("spark",)], ids="/".join)
def test_the_documented_keys_are_those_of_the_schema(path: tuple[str, ...]) -> None:
    text = (DOCS / "definition.md").read_text("utf-8")
    call = " ".join(("keys", *path))
    part = text.partition(f"<!-- generated: {call} -->")[2].partition("<!-- end -->")[0]
    schema = generate.definition_schema(*path)
    assert re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE) == list(schema["properties"])
    undescribed = [k for k, v in schema["properties"].items() if not v.get("description")]
    assert undescribed == []


def test_the_documented_tags_are_those_that_the_code_reads() -> None:
    modules = (ROOT / "kindling_airflow").rglob("*.py")
    code = "\n".join(module.read_text("utf-8") for module in modules)
    read = {
        *re.findall(r'tags(?:\.get\(|\[)"([^"]+)"', code),
        *re.findall(r'^_\w+_TAG = "([^"]+)"', code, re.MULTILINE),
    }
    text = (DOCS / "tags.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| .+ \|$", text, re.MULTILINE)
    documented = {tag.removesuffix("NAME") for tag in rows}
    assert read <= documented, "a tag that the code reads is not documented"
    assert [tag for tag in sorted(documented) if f'"{tag}"' not in code] == []


@pytest.mark.parametrize("file", generate.FILES, ids=name)
def test_generated_files_are_up_to_date(file: Path) -> None:
    assert generate.FILES[file]() == file.read_text("utf-8"), REMEDY


def test_every_room_is_drawn_and_described() -> None:
    package = ROOT / "kindling_airflow"
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    rooms = files | {path.parent.name for path in package.glob("*/__init__.py")}
    table = generate._PARTS["rooms"]()
    assert set(re.findall(r"^\| `(\w+)` \| \S", table, re.MULTILINE)) == rooms
    (drawing,) = (make() for file, make in generate.FILES.items() if file.stem == "rooms")
    assert set(re.findall(r">(\w+)</text>", drawing)) == rooms
