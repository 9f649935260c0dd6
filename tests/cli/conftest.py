"""The command line, called in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.main import main
from tests.dag_factory.projects import write_definition, write_project


class Shell:
    """Calls the command line in this process, in a folder with a project and its definition."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Return what a command printed; its exit status must be this."""
        out, err = self.both(*arguments, status=status)
        reports = arguments[0] == "validate" or "--json" in arguments  # problems are its product
        assert bool(err) == (status != 0 and not (reports and status == 1))
        return out or err

    def both(self, *arguments: str, status: int = 0) -> tuple[str, str]:
        """Return what a command printed on standard output, and on standard error."""
        assert main(list(arguments)) == status
        captured = self._capsys.readouterr()
        return captured.out, captured.err

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Return the document that a command printed with ``--json``."""
        return json.loads(self(*arguments, "--json", status=status))


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    write_project(tmp_path / "shop", "[raw] -> a -> b -> d, a -> c -> d")
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\nwidth: 2\n")
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path, capsys)
