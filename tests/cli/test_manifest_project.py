"""``run`` of a manifest: where its project lies, and when that is another one."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.sources.source import read_source
from tests.cli.conftest import Shell
from tests.dag_factory.projects import write_definition, write_project

NOWHERE = (
    "does not contain the path of the project's modules: name a definition, a project folder, or "
    "a manifest with its --project"
)
AGAIN = "  Fix: set --project to the project's folder, or compile the manifest again.\n"


def root_of(manifest: str, project: str | None = None) -> Path | None:
    found = read_source(manifest, Namespace(project=project, modules=None))
    assert found.project is not None
    return found.project.root


class TestFound:
    def test_folder_of_its_name_beside_it(self, shell: Shell) -> None:
        shell("compile", "shop")
        assert root_of("shop.manifest.json") == shell.folder / "shop"

    def test_its_own_folder(self, shell: Shell) -> None:
        shell("compile", "shop", "-o", "shop/manifest.json")
        assert root_of("shop/manifest.json") == shell.folder / "shop"

    def test_folder_that_is_named(self, shell: Shell) -> None:
        shell("compile", "shop", "-o", "other.json")
        assert root_of("other.json", "shop") == shell.folder / "shop"
        assert root_of("other.json") is None

    def test_settings_of_the_project_apply(self, shell: Shell) -> None:
        shell("compile", "shop")
        Path("shop/kindling.settings.yaml").write_text("pipes: {a: {tags: {layer: bronze}}}\n")
        found = read_source("shop.manifest.json", Namespace(project=None, modules=None))
        assert found.plan.graph.nodes["a"].tags == {"layer": "bronze"}

    def test_change_that_declares_the_same_does_no_harm(self, shell: Shell) -> None:
        shell("compile", "shop")
        module = Path("shop/pipes_drawn.py")
        module.write_text(module.read_text() + "# a remark\n")
        assert root_of("shop.manifest.json") == shell.folder / "shop"

    def test_other_commands_need_no_project(self, shell: Shell) -> None:
        shell("compile", "shop")
        write_project(shell.folder / "shop", "a -> b")
        assert shell.json("plan", "shop.manifest.json")["pipe_ids"] == ["a", "b", "d", "c"]


class TestRefused:
    def test_pipes_that_the_project_does_not_have(self, shell: Shell) -> None:
        shell("compile", "shop")
        write_project(shell.folder / "shop", "[raw] -> a -> b")
        where = "shop.manifest.json: the project 'shop' has no pipe"
        assert shell("run", "shop.manifest.json", status=1) == (
            f"2 problems with the source:\n1. {where} 'c'.\n{AGAIN}2. {where} 'd'.\n{AGAIN}"
        )

    def test_files_that_the_project_does_not_have(self, shell: Shell) -> None:
        shell("compile", "shop")
        Path("other").mkdir()
        assert shell("run", "shop.manifest.json", "--project", "other", status=1) == (
            f"shop.manifest.json: the project 'other' has no file 'pipes_drawn.py'\n{AGAIN}"
        )

    def test_declarations_that_have_changed(self, shell: Shell) -> None:
        shell("compile", "shop")
        write_project(shell.folder / "shop", "[raw] -> a -> b -> d, [raw] -> c -> d")
        assert shell("run", "shop.manifest.json", status=1) == (
            "shop.manifest.json: the declarations of the project 'shop' differ from the "
            "manifest\n"
            "  Fix: compile the manifest again.\n"
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (
                ["other.json"],
                f"'other.json' {NOWHERE}",
            ),
            (["other.json", "--project", "no"], "--project: folder not found: 'no'"),
            (
                ["bare.json", "--project", "shop"],
                "--project: 'bare.json' has no modules to import",
            ),
            (
                ["shop", "--project", "shop"],
                ("--project applies to a manifest, and 'shop' is not one"),
            ),
            (
                ["shop.kindling.yaml", "--project", "shop"],
                "--project applies to a manifest, and 'shop.kindling.yaml' is not one",
            ),
        ],
    )
    def test_calls_that_make_no_sense(self, shell: Shell, arguments: list[str], said: str) -> None:
        shell("compile", "shop", "-o", "other.json")
        pipe: dict[str, Any] = {"pipeid": "a", "output_entity_id": "a"}
        Path("bare.json").write_text(json.dumps({"schema_version": 1, "pipes": [pipe]}))
        write_definition(shell.folder / "shop.kindling.yaml", "dag_id: shop\n")
        assert shell("run", *arguments, status=2) == f"kindling-airflow run: {said}\n"
