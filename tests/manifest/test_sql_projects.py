"""Projects with queries: their files, and what the manifest says of them."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.data_pipes.sql_file import read_sql_file
from kindling_airflow.errors import DeclarationError, HarvestError
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.manifest import Manifest
from kindling_airflow.manifest.harvest import harvest_here as harvest
from kindling_airflow.manifest.harvest import import_declarations, is_current

Project = Callable[[dict[str, str]], Path]

IMPORT = "from kindling_airflow import DataEntities, DataPipes\n"
VIEW = IMPORT + 'DataPipes.view("gold.x", sql_file="sql/x.sql")\n'
QUERY = "SELECT *\nFROM raw_orders\nWHERE day >= :interval_start"
ENTITY = IMPORT + 'DataEntities.entity("raw.orders")\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Make the files of a project, named by path."""

    def make(files: dict[str, str]) -> Path:
        root = tmp_path / "shop"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return root

    return make


def refusal(call: Callable[..., object], *args: Any) -> str:
    with pytest.raises((DeclarationError, HarvestError)) as refused:
        call(*args)
    return str(refused.value)


def test_a_manifest_holds_the_query_and_what_was_derived_from_it(project: Project) -> None:
    root = project({"entities.py": ENTITY, "gold.py": VIEW, "sql/x.sql": f"{QUERY};\n"})
    manifest = harvest(root)
    (pipe,) = manifest.to_json()["pipes"]
    assert pipe["sql"] == QUERY
    assert pipe["sql_file"] == "sql/x.sql"
    assert pipe["sql_parameters"] == ["interval_start"]
    assert pipe["input_entity_ids"] == ["raw.orders"]
    assert not pipe.get("function")
    assert Manifest.from_json(json.loads(manifest.dumps())) == manifest


def test_a_function_s_entry_says_nothing_of_queries(project: Project) -> None:
    source = f'{IMPORT}@DataPipes.pipe("a", output_entity_id="b")\ndef run(): ...\n'
    (pipe,) = harvest(project({"a.py": source})).to_json()["pipes"]
    assert not [key for key in pipe if key.startswith("sql")]


def test_a_plan_holds_the_query_and_reads_it_back(project: Project) -> None:
    root = project({"entities.py": ENTITY, "gold.py": VIEW, "sql/x.sql": QUERY})
    plan = ExecutionPlanGenerator(harvest(root)).generate_batch_plan()
    document = json.loads(json.dumps(plan.to_json()))
    assert document["pipes"][0]["sql"] == QUERY
    again = ExecutionPlan.from_json(document).graph.nodes["gold.x"].metadata
    assert again is not None
    assert (again.sql, again.sql_file) == (QUERY, "sql/x.sql")


def test_a_changed_query_file_makes_the_manifest_out_of_date(project: Project) -> None:
    root = project({"entities.py": ENTITY, "gold.py": VIEW, "sql/x.sql": QUERY})
    manifest = harvest(root)
    assert manifest.sources["sql/x.sql"] == hashlib.sha256(QUERY.encode()).hexdigest()
    assert is_current(manifest, root)
    (root / "sql/x.sql").write_text(QUERY + " -- changed")
    assert not is_current(manifest, root)


def test_a_query_file_stands_beside_its_module_or_in_the_project(project: Project) -> None:
    root = project(
        {
            "top.sql": "SELECT 'top' AS x",
            "both.sql": "SELECT 'not this' AS x",
            "shop/__init__.py": IMPORT + 'DataPipes.view("c", sql_file="top.sql")\n',
            "shop/deep/__init__.py": "",
            "shop/deep/both.sql": "\ufeffSELECT 'both' AS x",
            "shop/deep/gold.py": IMPORT
            + 'DataPipes.view("a", sql_file="top.sql")\nDataPipes.view("b", sql_file="both.sql")\n'
            + 'DataPipes.view("d", sql_file="../../top.sql")\n',
        }
    )
    manifest = harvest(root)
    found = {pipe.pipeid: pipe.sql for pipe in manifest.pipes}
    top = "SELECT 'top' AS x"
    assert found == {"a": top, "b": "SELECT 'both' AS x", "c": top, "d": top}
    assert sorted(name for name in manifest.sources if name.endswith(".sql")) == [
        "shop/deep/both.sql",
        "top.sql",
    ]


def test_a_missing_query_file_is_named_with_both_places(project: Project) -> None:
    root = project({"shop/__init__.py": "", "shop/gold.py": VIEW})
    beside, above = root / "shop/sql/x.sql", root / "sql/x.sql"
    assert refusal(harvest, root) == (
        "module 'shop.gold': pipe 'gold.x': sql_file not found: 'sql/x.sql'; searched "
        f"{str(beside)!r} and {str(above)!r}\n"
        "  Fix: correct the path; it is relative to the declaring module or to the project's "
        "folder."
    )


def test_a_query_file_is_named_relative_and_is_utf_8(tmp_path: Path) -> None:
    module = {"__file__": str(tmp_path / "m.py"), "__package__": ""}
    assert refusal(read_sql_file, "/x.sql", module) == (
        "sql_file '/x.sql' is an absolute path\n"
        "  Fix: name it relative to the declaring module or the project, which it travels with."
    )
    assert refusal(read_sql_file, " ", module) == "sql_file must be the name of a file, not ' '"
    assert refusal(read_sql_file, 3, module) == "sql_file must be the name of a file, not 3"
    (tmp_path / "x.sql").write_bytes(b"SELECT '\xff'")
    assert refusal(read_sql_file, "x.sql", module) == (
        f"sql_file {str(tmp_path / 'x.sql')!r} is not valid UTF-8: 'utf-8' codec can't decode "
        "byte 0xff "
        "in position 8: invalid start byte"
    )


def test_without_a_module_a_query_file_is_looked_for_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.sql").write_text("SELECT 1")
    monkeypatch.chdir(tmp_path)
    assert read_sql_file("x.sql", {}) == ("SELECT 1", tmp_path / "x.sql")


def test_a_query_file_may_lie_in_a_zip_with_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cluster, where the project travels as one file."""
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        archive.writestr("zipped_shop/__init__.py", "")
        archive.writestr("zipped_shop/gold.py", VIEW)
        archive.writestr("zipped_shop/sql/x.sql", QUERY)
    monkeypatch.syspath_prepend(str(tmp_path / "project.zip"))
    with DataPipes.declaring_into(DataPipesRegistry()) as pipes:
        import zipped_shop.gold  # type: ignore[import-not-found]  # noqa: F401
    for name in ("zipped_shop", "zipped_shop.gold"):
        monkeypatch.delitem(sys.modules, name)
    pipe = pipes.get_pipe_definition("gold.x")
    assert pipe is not None
    assert pipe.sql == QUERY


def test_a_query_is_checked_when_the_project_is_harvested(project: Project) -> None:
    root = project({"gold.py": VIEW, "sql/x.sql": QUERY})
    assert refusal(harvest, root) == (
        "pipe 'gold.x': its query reads 'raw_orders' (sql/x.sql, line 2), which is not an entity "
        "of the project.\n"
        "  Fix: correct the name, declare the entity, or name the inputs in input_entity_ids."
    )


def test_a_driver_needs_no_parser(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project({"entities.py": ENTITY, "gold.py": VIEW, "sql/x.sql": QUERY})
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    found = import_declarations(root, ["entities", "gold"])
    for name in ("entities", "gold"):
        monkeypatch.delitem(sys.modules, name)
    assert list(found.pipes.awaiting) == ["gold.x"]
