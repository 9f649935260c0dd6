"""Modules with callbacks are imported where the DAG is made: what they do is their DAG's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dag_factory.projects import write_definition, write_project
from tests.dag_factory.test_load_dags import DROP_IN, message, parse, tasks

CALLED = "\ndef note(context): ...\n"
DECLARES = """
from kindling_airflow import DataPipes

@DataPipes.pipe("{name}", output_entity_id="{out}")
def p(): ...
"""


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "kindling_dags.py").write_text(DROP_IN.read_text())
    write_project(folder / "shop")
    write_definition(folder / "good.kindling.yaml", "dag_id: good\n")
    return folder


def with_callback(dags: Path, name: str, source: str) -> None:
    project = write_project(dags / name, f"{name}.a")
    (project / "alerts_of_it.py").write_text(source + CALLED)
    text = f"dag_id: {name}\nproject:\n  path: {name}\n  modules: [pipes_drawn]\n"
    write_definition(
        dags / f"{name}.kindling.yaml", f"{text}on_failure_callback: alerts_of_it:note\n"
    )


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise SystemExit(1)", "SystemExit: 1"),
        ("import pytest\npytest.importorskip('no_such_package')", "Skipped: could not import"),
        (
            "import threading\nthreading.Event().wait()",
            "LateHarvestError: its import did not end within 0.5 seconds",
        ),
    ],
)
def test_what_one_raises_costs_no_other_its_dag(
    dags: Path, source: str, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__KINDLING__IMPORT_TIMEOUT", "0.5")
    with_callback(dags, "bad", source)
    # Nothing is harvested here in half a second on a busy machine: the manifests are compiled.
    _compile(dags)
    result = parse(dags)
    assert tasks(result) == {"good": ["a", "b"]}
    assert result.import_errors is not None
    text = message(result.import_errors["bad.kindling.yaml"])
    assert f"module 'alerts_of_it' failed to import: {error}" in text


def test_what_they_declare_clashes_with_nothing(dags: Path) -> None:
    for name in ("eu", "us"):
        with_callback(dags, name, DECLARES.format(name="shared", out=name))
    result = parse(dags)
    assert not result.import_errors
    assert tasks(result) == {"good": ["a", "b"], "eu": ["eu.a"], "us": ["us.a"]}


def _compile(dags: Path) -> None:
    from kindling_airflow.definitions.definition import Definition, manifest_beside
    from kindling_airflow.manifest.harvest import harvest

    for path in dags.glob("*.kindling.yaml"):
        definition = Definition.from_file(path)
        harvest(definition.project_root, definition.modules).write(manifest_beside(path))
