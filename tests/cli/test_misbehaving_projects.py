"""``validate`` of a folder of projects that misbehave: each problem is reported, and the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kindling_airflow.cli.main import main
from tests.dag_factory.misbehaving import KINDS, write_folder

CHECKED = (
    *("hangs", "leaves", "crashes", "interrupts", "skips", "exits", "is_no_python"),
    *("prints", "changes_its_process", "closes_its_output", "patches"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "10")
    return write_folder(tmp_path / "dags", {name: KINDS[name] for name in CHECKED})


def test_each_problem_is_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / f"{name}.kindling.yaml") for name in (*CHECKED, "good", "broken_yaml")]
    assert main(["validate", "--json", *paths]) == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found) == paths
    problems = {Path(path).name.partition(".")[0]: texts for path, texts in found.items()}
    assert len(problems.pop("broken_yaml")) == 1
    assert problems.pop("good") == []
    for name, texts in problems.items():
        wanted = KINDS[name].error
        assert len(texts) == bool(wanted), (name, texts)
        assert all(wanted in text for text in texts), (name, texts)


def test_a_definition_that_airflow_does_not_see_is_noted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "good.kindling.yaml").rename(folder / "good.yaml")
    assert main(["validate", str(folder / "good.yaml")]) == 0
    assert (
        "note: load_dags does not read a file named 'good.yaml'; Airflow loads this DAG only if "
        "the name ends in '.kindling.yaml', or a DAG file names it"
    ) in capsys.readouterr().out
    (folder / "good.yaml").rename(folder / "good.kindling.yml")
    (folder / ".airflowignore").write_text("good*\n")
    assert main(["validate", str(folder / "good.kindling.yml")]) == 0
    note = (
        "note: an .airflowignore file hides this file from Airflow, which will not load this DAG\n"
    )
    assert note in capsys.readouterr().out


def test_two_sources_that_share_a_library_differ_in_what_they_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "shared_of_two.py").write_text(
        "from kindling_airflow import DataPipes\n"
        "@DataPipes.pipe('shared', output_entity_id='shared')\n"
        "def shared(): ...\n"
    )
    monkeypatch.syspath_prepend(library)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipes.py").write_text("import shared_of_two\n")
    assert main(["diff", "--exit-code", str(tmp_path / "old"), str(tmp_path / "new")]) == 0
    capsys.readouterr()
