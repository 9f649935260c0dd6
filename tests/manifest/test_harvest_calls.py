"""Harvests of several projects: each as if it were the only one of its process."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kindling_airflow.common.child.process import Outcome
from kindling_airflow.data_entities import DataEntities
from kindling_airflow.errors import (
    DeclarationError,
    HarvestError,
    LateHarvestError,
    ManifestError,
    ProblemsError,
)
from kindling_airflow.manifest import Manifest, harvest_calls
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.manifest.harvest_calls import (
    HarvestOrder,
    harvest_all,
    something_was_declared,
)

SHARED = """
from kindling_airflow import DataEntities, DataPipes

DataEntities.entity("raw.orders", tags={"provider_type": "csv"})

@DataPipes.pipe(
    "silver.orders", input_entity_ids=["raw.orders"], output_entity_id="silver.orders"
)
def clean(raw_orders): ...
"""
OWN = """
import shared_orders_lib

from kindling_airflow import DataPipes

@DataPipes.pipe(
    "gold.{name}", input_entity_ids=["silver.orders"], output_entity_id="gold.{name}"
)
def run(silver_orders): ...
"""


@pytest.fixture
def projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Projects ``eu`` and ``us`` that import a library on the import path, which declares."""
    library = tmp_path / "lib" / "shared_orders_lib"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("from shared_orders_lib import orders\n")
    (library / "orders.py").write_text(SHARED)
    monkeypatch.syspath_prepend(tmp_path / "lib")
    roots = [tmp_path / "eu", tmp_path / "us"]
    for root in roots:
        root.mkdir()
        (root / "pipes.py").write_text(OWN.format(name=root.name))
    return roots


@pytest.fixture
def _forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harvest_calls._Process, "is_touched", False)


def ids(manifest: Manifest | ProblemsError) -> list[str]:
    assert isinstance(manifest, Manifest), manifest
    return manifest.get_pipe_ids()


def both(roots: list[Path]) -> list[list[str]]:
    return [ids(found) for found in harvest_all([HarvestOrder(root) for root in roots])]


WANTED = [["silver.orders", "gold.eu"], ["silver.orders", "gold.us"]]


@pytest.mark.usefixtures("_forgets")
class TestALibraryThatTwoProjectsShare:
    def test_declares_for_each_of_them(self, projects: list[Path]) -> None:
        assert both(projects) == WANTED
        assert [harvest(root).get_pipe_ids() for root in projects] == WANTED
        assert [harvest(root).entities.get_entity_ids() for root in projects] == [
            ["raw.orders"]
        ] * 2

    def test_declares_in_any_order_of_the_projects(self, projects: list[Path]) -> None:
        assert both(projects[::-1]) == WANTED[::-1]

    def test_declares_though_the_dag_file_has_imported_it_before(
        self, projects: list[Path]
    ) -> None:
        import shared_orders_lib  # type: ignore[import-not-found]

        try:
            assert len(DataEntities.registry()) == 1
            assert both(projects) == WANTED
            assert sys.modules["shared_orders_lib"] is shared_orders_lib
        finally:
            for name in ("shared_orders_lib", "shared_orders_lib.orders"):
                sys.modules.pop(name, None)

    def test_declares_though_a_callback_has_imported_it_before(self, projects: list[Path]) -> None:
        from kindling_airflow.data_entities import DataEntityRegistry
        from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry

        with (
            DataPipes.declaring_into(DataPipesRegistry()),
            DataEntities.declaring_into(DataEntityRegistry()),
        ):
            import shared_orders_lib  # noqa: F401

        something_was_declared()
        try:
            assert both(projects) == WANTED
        finally:
            for name in ("shared_orders_lib", "shared_orders_lib.orders"):
                sys.modules.pop(name, None)


def test_what_is_wrong_with_one_project_is_its_own(tmp_path: Path) -> None:
    sources = {
        "good": "",
        "raising": "1 / 0\n",
        "declaring": "from kindling_airflow import DataEntities\nDataEntities.entity('')\n",
        "local": "from kindling_airflow import DataPipes\n"
        "f = lambda: 1\nf.__module__ = '__main__'\n"
        "DataPipes.pipe('p', output_entity_id='o')(f)\n",
        "leaving": "import os\nos._exit(3)\n",
        "mute": "class Mute(Exception):\n    def __str__(self):\n        1 / 0\nraise Mute",
        "loud": "raise ValueError('x' * 100_000)\n",
    }
    for name, source in sources.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pipes.py").write_text(source)
    found = dict(
        zip(sources, harvest_all([HarvestOrder(tmp_path / name) for name in sources]), strict=True)
    )
    assert [type(one) for one in found.values()] == [
        Manifest,
        HarvestError,
        DeclarationError,
        ManifestError,
        HarvestError,
        HarvestError,
        HarvestError,
    ]
    leaving = tmp_path / "leaving"
    assert str(found["leaving"]) == (
        f"the import of project {str(leaving)!r} ended its process with exit code 3\n"
        "  Fix: correct the module that does this when it is imported."
    )
    assert str(found["mute"]).startswith(
        "module 'pipes' failed to import: Mute: <its text cannot be made: ZeroDivisionError>"
    )
    assert "characters more" in str(found["loud"])
    assert len(str(found["loud"])) < 21_000


def test_a_project_that_hangs_is_late_and_its_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "pipes.py").write_text("import threading\n\nthreading.Event().wait()\n")
    with pytest.raises(LateHarvestError) as refused:
        harvest(tmp_path, seconds=2.0)
    text = str(refused.value)
    assert text.startswith(f"the import of project {str(tmp_path)!r} did not end within 2 seconds")
    assert f'File "{tmp_path}/pipes.py", line 3, in <module>' in text
    assert text.endswith("or compile the manifest ('kindling-airflow compile').")


def test_what_a_project_prints_comes_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pipes.py").write_text("print('good day')\n")
    harvest(tmp_path)
    assert capsys.readouterr().out == "good day\n"


def test_an_answer_that_is_no_manifest_is_an_error_of_its_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Outcome({"manifest": {"schema_version": 99}})]
    monkeypatch.setattr(harvest_calls, "in_children", lambda *_, **__: answers)
    (found,) = harvest_all([HarvestOrder(tmp_path)])
    assert isinstance(found, ManifestError)
