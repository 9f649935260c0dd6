"""The front door: every public name resolves, when it is first used and not before."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import kindling_airflow
from kindling_airflow import dag_factory, plan_report, translator

LAZY = [kindling_airflow, dag_factory, plan_report]


@pytest.mark.parametrize("name", [n for n in kindling_airflow.__all__ if n != "__version__"])
def test_public_name_is_that_of_its_home(name: str) -> None:
    home = importlib.import_module(f"kindling_airflow.{kindling_airflow._HOMES[name]}")
    found = getattr(kindling_airflow, name)
    assert found is getattr(home, name)
    assert found.__name__ == name
    assert found.__module__.startswith("kindling_airflow.")


def test_version_is_that_of_the_distribution() -> None:
    assert kindling_airflow.__version__ == version("airflow-provider-kindling")
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    assert f'\nversion = "{kindling_airflow.__version__}"\n' in text


def test_in_a_package_the_version_is_that_of_its_info(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package on a cluster is a zip, and knows no installed distribution."""
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as package:
        package.writestr("kindling-package.json", json.dumps({"release": "7.8.9"}))

    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    place = str(tmp_path / "shop.zip" / "kindling_airflow" / "__init__.py")
    monkeypatch.setattr(kindling_airflow, "__file__", place)
    assert kindling_airflow.__version__ == "7.8.9"


def test_a_name_that_the_translator_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'transalte'"):
        _ = translator.transalte


@pytest.mark.parametrize("package", LAZY)
def test_every_name_has_a_home(package: ModuleType) -> None:
    assert set(package._HOMES) == set(package.__all__) - {"__version__"}


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_are_told_the_same_homes(package: ModuleType) -> None:
    """Under TYPE_CHECKING stands a second list, which must not drift from the first."""
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    [block] = [
        node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node)
    ]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    told = {
        alias.name: (node.module or "").removeprefix(f"{package.__name__}.")
        for node in imports
        for alias in node.names
    }
    assert told == package._HOMES


@pytest.mark.parametrize("package", LAZY)
def test_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    with pytest.raises(AttributeError) as refused:
        _ = package.no_such_name
    assert str(refused.value) == f"module {package.__name__!r} has no attribute 'no_such_name'"
    assert not hasattr(package, "no_such_name")


def test_listing_the_names_is_sorted_and_complete() -> None:
    assert dir(kindling_airflow) == sorted(kindling_airflow.__all__)


def test_star_brings_all_names() -> None:
    brought: dict[str, object] = {}
    exec("from kindling_airflow import *", brought)
    assert set(kindling_airflow.__all__) <= set(brought)


def test_names_bring_only_what_they_need() -> None:
    """Importing what declares and plans needs the standard library alone; networkx comes later."""
    program = """
import json, sys
heavy = lambda: sorted({"airflow", "pyspark", "networkx", "yaml"}.intersection(sys.modules))
said = [heavy()]
from kindling_airflow import DataEntities, DataPipes, KindlingAirflowError, Manifest
said.append(heavy())
from kindling_airflow import ExecutionPlanGenerator, translate
said.append(heavy())
print(json.dumps(said))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == [[], [], []]
