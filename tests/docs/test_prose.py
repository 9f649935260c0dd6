"""What ``docs/prose.py`` finds, what it leaves alone, and how it wraps."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from docs import prose


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a page, a module of a room, and no findings that are known."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "kindling_airflow" / "room").mkdir(parents=True)
    monkeypatch.setattr(prose, "ROOT", tmp_path)
    monkeypatch.setattr(prose, "KNOWN", tmp_path / "known.json")
    (tmp_path / "known.json").write_text("{}")
    return tmp_path


def test_the_repository_has_no_more_findings_than_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prose.main([]) == 0, capsys.readouterr().out


def test_a_finding_has_its_place_and_what_to_write(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "docs" / "a.md").write_text("# A\n\nThe task is\ntold to stop.\n")
    assert prose.main([]) == 1
    assert capsys.readouterr().out == (
        "docs/a.md:4: 'told'; write: reported, notified, logged; 'Return whether'\n"
        "docs/a.md: 1 findings, 0 allowed\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "It is no longer there.",
        "`nobody` and [a page](told.md)",
        'It logs "nobody is left", or *nobody knows*.',
        "```text\nnobody\n```",
        "<!-- generated: file x -->\nnobody\n<!-- end -->",
        "safe and sound",
    ],
)
def test_code_quotations_and_idioms_are_left_alone(folder: Path, text: str) -> None:
    (folder / "README.md").write_text(f"{text}\n")
    assert list(prose.findings()) == []


def test_texts_and_docstrings_of_the_package_are_searched_but_not_its_keys(folder: Path) -> None:
    module = folder / "kindling_airflow" / "room" / "module.py"
    module.write_text('"""Told of it."""\nKEY = "told"\nraise ValueError(f"nobody has {KEY}")\n')
    found = [(f.line, f.text.split(";")[0], f.group) for f in prose.findings()]
    group = "kindling_airflow/room"
    assert sorted(found) == [(1, "'Told'", group), (3, "'nobody'", group)]


def test_numbers_go_down_and_never_up(folder: Path) -> None:
    page = folder / "README.md"
    page.write_text("Nobody told it.\n")
    assert prose.main(["--lower"]) == 1
    (folder / "known.json").write_text('{"README.md": 3, "gone.md": 1}')
    assert prose.main(["--lower"]) == 0
    assert json.loads((folder / "known.json").read_text()) == {"README.md": 2}
    page.write_text("Nobody told it, nobody.\n")
    assert prose.main(["--lower"]) == 1
    assert Counter(f.group for f in prose.findings()) == {"README.md": 3}


def test_only_prose_is_too_wide(folder: Path) -> None:
    wide = "word " * 30
    (folder / "README.md").write_text(f"# {wide}\n\n| {wide} |\n\n    {wide}\n\n{wide}\n- {wide}\n")
    assert [f.line for f in prose.findings()] == [7, 8]


def test_a_paragraph_is_wrapped_and_code_stays_on_one_line() -> None:
    text = f"One.\n\n- {'word ' * 23}`a b`\n  more\n- next\n\n```\n{'x ' * 80}\n```\n"
    assert prose.wrapped(text) == (
        f"One.\n\n- {'word ' * 22}word\n  `a b` more\n- next\n\n```\n{'x ' * 80}\n```\n"
    )
    assert prose.wrapped(prose.wrapped(text)) == prose.wrapped(text)
