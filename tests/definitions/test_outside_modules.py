"""A module that Airflow finds and a driver does not is refused when the project is compiled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.definitions.definition import Definition
from kindling_airflow.definitions.project_manifests import project_manifest
from kindling_airflow.errors import HarvestError

PIPE = """\
from kindling_airflow import DataPipes
{imports}

@DataPipes.pipe("a", input_entity_ids=[], output_entity_id="a")
def a():
    {inside}
"""


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The DAGs folder, which Airflow has on its import path."""
    (tmp_path / "p").mkdir()
    (tmp_path / "shop_helper.py").write_text("RATE = 1\n")
    (tmp_path / "shop_package").mkdir()
    (tmp_path / "shop_package" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def problems(base: Path, imports: str = "", inside: str = "...", **keys: Any) -> list[str]:
    (base / "p" / "pipes.py").write_text(PIPE.format(imports=imports, inside=inside))
    document = {"dag_id": "d", "project": "p", **keys}
    try:
        project_manifest(Definition.from_document(document, base=base, source="d"))
    except HarvestError as error:
        return list(error.problems)
    return []


def test_a_helper_of_the_dags_folder_is_refused(base: Path) -> None:
    (problem,) = problems(base, "import shop_helper")
    assert problem == (
        f"pipes.py:2: module 'shop_helper' is imported from {str(base)!r}, which is on Airflow's "
        "import path but not on a driver's\n"
        f"  Fix: move it into the project folder {str(base / 'p')!r}, install it, or pass it to "
        "the drivers by 'spark.py_files' or PYTHONPATH in 'spark.env_vars'."
    )
    command = [sys.executable, "-c", "import sys; sys.path[0] = ''; import shop_helper"]
    driver = subprocess.run(command, cwd="/", capture_output=True, check=False)
    assert driver.returncode == 1


@pytest.mark.parametrize(
    ("imports", "inside"),
    [
        ("from shop_helper import RATE", "..."),
        ("import shop_package as own", "..."),
        ("", "import shop_helper"),
    ],
)
def test_in_whichever_way_it_is_imported(base: Path, imports: str, inside: str) -> None:
    assert len(problems(base, imports, inside)) == 1


def test_it_is_seen_though_another_definition_has_imported_it(base: Path) -> None:
    assert len(problems(base, "import shop_helper")) == 1
    assert len(problems(base, "import shop_helper\nimport shop_package")) == 2


@pytest.mark.parametrize(
    "imports", ["import json", "import yaml", "import kindling_airflow", "import own", "import sub"]
)
def test_what_a_driver_finds_is_taken(base: Path, imports: str) -> None:
    (base / "p" / "own.py").write_text("")
    (base / "p" / "sub").mkdir()
    (base / "p" / "sub" / "__init__.py").write_text("")
    assert problems(base, imports) == []


@pytest.mark.parametrize(
    "spark",
    [
        {"py_files": "helper.zip"},
        {"env_vars": {"PYTHONPATH": "/dags"}},
        {"conf": {"spark.submit.pyFiles": "helper.zip"}},
        {"conf": {"spark.executorEnv.PYTHONPATH": "/dags"}},
    ],
)
def test_who_hands_it_to_the_drivers_is_taken_at_his_word(base: Path, spark: Any) -> None:
    assert problems(base, "import shop_helper", spark=spark) == []
    assert problems(base, "import shop_helper", overrides={"a": {"spark": spark}}) == []


def test_what_was_put_on_the_path_by_other_means_is_not_judged(
    base: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path_factory.mktemp("library")
    (library / "shop_library.py").write_text("")
    monkeypatch.syspath_prepend(str(library))
    assert problems(base, "import shop_library") == []


def test_the_import_path_of_the_process_counts(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kindling_airflow.definitions import outside_modules

    monkeypatch.setenv("PYTHONPATH", str(base))
    outside_modules._path_of_a_driver.cache_clear()
    assert problems(base, "import shop_helper") == []
    outside_modules._path_of_a_driver.cache_clear()
