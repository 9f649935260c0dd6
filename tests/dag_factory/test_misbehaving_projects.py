"""A folder of projects that misbehave, each in its own way: none costs another its DAG."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.dag_factory.misbehaving import KINDS, write_folder
from tests.dag_factory.test_load_dags import message, parse, tasks

SECONDS = "40"  # for all projects, on a machine that is busy


@pytest.fixture
def _short_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT", SECONDS)


@pytest.mark.usefixtures("_short_time")
def test_none_costs_another_its_dag_and_each_is_named(tmp_path: Path) -> None:
    before = Path.cwd(), dict(os.environ), list(sys.path)
    result = parse(write_folder(tmp_path / "dags"))
    found, errors = tasks(result), result.import_errors or {}
    assert found.pop("good") == ["a", "b"]
    assert found == {
        name: list(kind.tasks or [f"{name}.p"]) for name, kind in KINDS.items() if not kind.error
    }
    broken = {name for name, kind in KINDS.items() if kind.error} | {"is_binary", "broken_yaml"}
    assert {name.removesuffix(".kindling.yaml") for name in errors} == broken
    for name, kind in KINDS.items():
        if kind.error:
            text = message(errors[f"{name}.kindling.yaml"])
            assert f"{name}.kindling.yaml: " in text, text
            assert kind.error in text, text
            assert len(text) < 30_000
    own = [entry for entry in sys.path if entry != str(tmp_path / "dags")]  # that is Airflow's
    assert (Path.cwd(), dict(os.environ), own) == before
