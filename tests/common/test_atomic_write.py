"""A file appears whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kindling_airflow.common.atomic_write import write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_replaces_what_was_there(tmp_path: Path) -> None:
    for text in ("first", "größer"):
        write_whole(tmp_path / "x", text)
        assert (tmp_path / "x").read_bytes() == text.encode()
    assert names(tmp_path) == ["x"]


def test_a_folder_in_its_place_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "x", "text")
    assert names(tmp_path) == ["x"]
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "no" / "y", "text")
    assert names(tmp_path) == ["x"]


def test_text_that_cannot_be_stored_leaves_what_was_there(tmp_path: Path) -> None:
    write_whole(tmp_path / "x", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "x", "\ud800")
    assert (names(tmp_path), (tmp_path / "x").read_text()) == (["x"], "old")


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("x")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (names(tmp_path), (tmp_path / "x").read_text()) == (["link", "x"], "text")


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_whole(tmp_path / "pipe", "text")
    reader.join(10)
    assert (read, names(tmp_path), (tmp_path / "pipe").is_fifo()) == (["text"], ["pipe"], True)
