"""The page about strategies is true: its examples, and its distribution with a strategy."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "strategies.md").read_text("utf-8")
EXAMPLE = DOCS / "examples" / "own_strategy"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution of the page, as an installer leaves it."""
    project = (EXAMPLE / "pyproject.toml").read_text("utf-8")
    entry = re.search(r'^layered = "(.*)"$', project, re.MULTILINE)
    assert entry is not None
    metadata = tmp_path / "shop_strategies-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-strategies\nVersion: 1.0")
    (metadata / "entry_points.txt").write_text(
        f"[kindling_airflow.strategies]\nlayered = {entry[1]}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE)


def test_examples_give_what_the_page_shows(installed: None) -> None:
    code = "\n".join(block for block in _blocks("python") if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(code, {}, "strategies.md", "docs/strategies.md", 0)
    assert len(test.examples) == 39
    runner = doctest.DocTestRunner()
    assert runner.run(test).failed == 0


def test_code_and_project_file_of_the_own_strategy_are_those_of_the_example() -> None:
    code = [block for block in _blocks("python") if not block.startswith(">>>")]
    assert code == [(EXAMPLE / "shop_strategies.py").read_text("utf-8")]
    assert _blocks("toml") == [(EXAMPLE / "pyproject.toml").read_text("utf-8")]
