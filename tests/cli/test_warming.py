"""Several commands that create a start-up profile in one folder at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kindling_airflow.cli import warming
from kindling_airflow.deployment.start_profile import Installation

KEY = "0123456789abcdef"


def test_of_several_at_once_one_creates_it_and_the_others_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation = Installation(tmp_path / "java", tmp_path / "spark", KEY)
    made: list[Path] = []
    all_look = threading.Barrier(4)
    has_looked = threading.local()

    def look(folder: Path, _installation: Installation) -> Path | None:
        if not getattr(has_looked, "once", False):  # nobody finds it at first
            has_looked.once = True
            all_look.wait(60)
            return None
        return next(iter(sorted(folder.glob("*.jsa"))), None)

    def make(folder: Path, *_: object) -> Path:
        path = folder / f"spark-{KEY}-{len(made)}.jsa"
        path.write_text("")
        made.append(path)
        return path

    monkeypatch.setattr(warming, "find_installation", lambda _environment: installation)
    monkeypatch.setattr(warming, "archive_in", look)
    monkeypatch.setattr(warming, "_make", make)
    monkeypatch.setattr(warming, "_classes_from", lambda path, *_: int(path.exists()))
    found: list[warming.Archive] = []
    threads = [
        threading.Thread(target=lambda: found.append(warming.warm_archive(tmp_path / "profile")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1
    assert sorted(archive.made for archive in found) == [False, False, False, True]
    assert {archive.path for archive in found} == set(made)
