"""A compiled manifest stands in for the project while it is current, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.dag_factory.factory import kindling_dag, load_dags
from tests.dag_factory.projects import document, imports_of, write_definition, write_project


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A dags folder whose project is compiled; its import so far is forgotten."""
    write_project(tmp_path / "shop", "a -> b")
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\n")
    compile_(tmp_path)
    return tmp_path


def compile_(dags: Path) -> None:
    assert main(["compile", str(dags / "shop.kindling.yaml")]) == 0
    (dags / "shop.imports").unlink()


def task_ids(dags: Path) -> list[str]:
    (dag,) = load_dags(dags / "kindling_dags.py").values()
    return list(dag.task_ids)


def test_a_current_manifest_spares_the_import(dags: Path) -> None:
    assert task_ids(dags) == ["a", "b"]
    assert imports_of(dags / "shop") == []


def test_without_a_manifest_the_project_is_imported(dags: Path) -> None:
    (dags / "shop.manifest.json").unlink()
    assert task_ids(dags) == ["a", "b"]
    assert imports_of(dags / "shop") == ["pipes_drawn"]


def test_a_changed_module_makes_the_manifest_stale(dags: Path) -> None:
    write_project(dags / "shop", "a -> b -> c")
    assert task_ids(dags) == ["a", "b", "c"]
    assert imports_of(dags / "shop") == ["pipes_drawn"]
    compile_(dags)
    assert task_ids(dags) == ["a", "b", "c"]
    assert imports_of(dags / "shop") == []


def test_a_new_module_makes_the_manifest_stale(dags: Path) -> None:
    write_project(dags / "shop", "c", module="pipes_new")
    assert task_ids(dags) == ["a", "c", "b"]


def test_a_removed_module_makes_the_manifest_stale(dags: Path) -> None:
    write_project(dags / "shop", "c", module="pipes_new")
    compile_(dags)
    (dags / "shop" / "pipes_new.py").unlink()
    assert task_ids(dags) == ["a", "b"]


def test_other_modules_in_the_definition_make_the_manifest_stale(dags: Path) -> None:
    write_project(dags / "shop", "c", module="pipes_new")
    compile_(dags)
    write_definition(
        dags / "shop.kindling.yaml", "dag_id: shop\nproject: {path: shop, modules: [pipes_new]}\n"
    )
    assert task_ids(dags) == ["c"]


def test_a_manifest_of_another_project_is_not_taken_for_this_ones(dags: Path) -> None:
    write_project(dags / "other", "x")
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\nproject: other\n")
    assert task_ids(dags) == ["x"]


def test_the_choice_of_pipes_needs_no_new_manifest(dags: Path) -> None:
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\npipes: [b]\n")
    assert task_ids(dags) == ["b"]
    assert imports_of(dags / "shop") == []


def test_a_manifest_may_lie_where_the_definition_says(dags: Path) -> None:
    (dags / "shop.manifest.json").unlink()
    (dags / "compiled").mkdir()
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\nmanifest: compiled/it.json\n")
    compile_(dags)
    assert (dags / "compiled" / "it.json").is_file()
    assert not (dags / "shop.manifest.json").exists()
    assert task_ids(dags) == ["a", "b"]
    assert kindling_dag(dags, **document(manifest="compiled/it.json")).task_ids == ["a", "b"]
    assert imports_of(dags / "shop") == []


def test_a_compiled_manifest_moves_with_its_folder(dags: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved" / "dags"
    moved.parent.mkdir()
    for name in ("shop", "shop.kindling.yaml", "shop.manifest.json"):
        moved.mkdir(exist_ok=True)
        (dags / name).rename(moved / name)
    (moved / "shop" / "pipes_drawn.py").touch()  # another time stamp, the same content
    assert task_ids(moved) == ["a", "b"]
    assert imports_of(dags / "shop") == []
