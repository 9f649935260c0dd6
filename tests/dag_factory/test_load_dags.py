"""The drop-in DAG file, through the code that Airflow's DAG processor runs."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.dag_processing.processor import DagFileParseRequest, DagFileParsingResult, _parse_file
from airflow.exceptions import SerializationError
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from kindling_airflow.dag_factory.broken import BrokenDefinition
from kindling_airflow.dag_factory.factory import definition_files, load_dags
from tests.dag_factory.projects import write_definition, write_project

DROP_IN = Path(__file__).parents[2] / "dags" / "kindling_dags.py"


@pytest.fixture
def dags(tmp_path: Path) -> Path:
    """A dags folder with the drop-in file and a project."""
    folder = tmp_path / "dags"
    folder.mkdir()
    shutil.copy(DROP_IN, folder)
    write_project(folder / "shop", "a -> b")
    return folder


def parse(dags: Path, file: str = "kindling_dags.py") -> DagFileParsingResult:
    """Return what the DAG processor would send to the scheduler."""
    request = DagFileParseRequest(
        file=str(dags / file), bundle_path=dags, bundle_name="dags-folder"
    )
    result = _parse_file(request, structlog.get_logger())
    assert result is not None
    return result


def tasks(result: DagFileParsingResult) -> dict[str, list[str]]:
    """Return the task ids of each DAG that arrived."""
    return {
        dag.dag_id: [task["__var"]["task_id"] for task in dag.data["dag"]["tasks"]]
        for dag in result.serialized_dags
    }


def message(stack_trace: str) -> str:
    """Return what an import error says behind the last frame."""
    return stack_trace.partition("airflow.exceptions.SerializationError: ")[2].rstrip()


def test_the_drop_in_file_passes_airflows_safe_mode(dags: Path) -> None:
    text = DROP_IN.read_text().lower()
    assert "airflow" in text
    assert "dag" in text
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
    bag = BundleDagBag(dags, bundle_path=dags, bundle_name="dags-folder", safe_mode=True)
    assert bag.dag_ids == ["shop"]
    assert bag.import_errors == {}


def test_the_drop_in_file_decides_nothing() -> None:
    """It is copied by hand and never updated, so it must be short and stay the same."""
    body = ast.parse(DROP_IN.read_text()).body
    assert [ast.unparse(statement) for statement in body[1:]] == [
        "from kindling_airflow.dag_factory import load_dags",
        "globals().update(load_dags(__file__))",
    ]


def test_every_definition_in_and_beneath_the_folder_is_a_dag(dags: Path) -> None:
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
    write_project(dags / "team" / "shop", "x -> y, z")
    write_definition(dags / "team" / "one.kindling.yaml", "dag_id: one\npipes: [x, y]\n")
    write_definition(
        dags / "team" / "deep" / "all.kindling.yaml", "dag_id: all\nproject: ../shop\n"
    )
    result = parse(dags)
    assert tasks(result) == {"shop": ["a", "b"], "one": ["x", "y"], "all": ["x", "z", "y"]}
    assert not result.import_errors


def test_projects_may_have_modules_of_one_name(dags: Path) -> None:
    write_project(dags / "other", "c")
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
    write_definition(dags / "other.kindling.yaml", "dag_id: other\nproject: other\n")
    assert tasks(parse(dags)) == {"shop": ["a", "b"], "other": ["c"]}


def test_hidden_folders_and_other_files_are_left_out(dags: Path) -> None:
    for name in (
        ".git/shop.kindling.yaml",
        "team/.venv/lib/shop.kindling.yaml",
        ".shop.kindling.yaml",
        "shop.yaml",
        "kindling.yaml",
        "shop.kindling.yaml.bak",
    ):
        write_definition(dags / name, "dag_id: shop\n")
    (dags / "folder.kindling.yaml").mkdir()
    assert definition_files(dags) == []
    seen = write_definition(dags / "team" / "shop.kindling.yaml", "dag_id: shop\n")
    assert definition_files(dags) == [seen]


def test_a_dags_folder_beneath_a_hidden_one_is_not_hidden(tmp_path: Path) -> None:
    seen = write_definition(tmp_path / ".work" / "dags" / "shop.kindling.yaml", "dag_id: shop\n")
    assert definition_files(seen.parent) == [seen]


def test_definitions_lie_beside_the_link_to_a_dag_file(dags: Path, tmp_path: Path) -> None:
    shared = tmp_path / "elsewhere" / "shared.py"
    shared.parent.mkdir()
    (dags / "kindling_dags.py").rename(shared)
    (dags / "kindling_dags.py").symlink_to(shared)
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
    assert tasks(parse(dags)) == {"shop": ["a", "b"]}


def test_a_broken_definition_is_an_import_error_of_its_own_file(dags: Path) -> None:
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
    write_definition(dags / "team" / "bad.kindling.yaml", "dag_id: bad\nwidht: 2\nwidth: many\n")
    result = parse(dags)
    assert tasks(result) == {"shop": ["a", "b"]}
    assert result.import_errors is not None
    assert list(result.import_errors) == ["team/bad.kindling.yaml"]
    assert message(result.import_errors["team/bad.kindling.yaml"]) == (
        "3 problems in the definition:\n"
        "1. team/bad.kindling.yaml:1: project: "
        f"the project folder '{dags / 'team' / 'shop'}' does not exist\n"
        "  Fix: correct the path.\n"
        "2. team/bad.kindling.yaml:3: widht: unknown key 'widht'. Did you mean 'width'?\n"
        "3. team/bad.kindling.yaml:4: width: must be a whole number, not 'many'"
    )


def test_the_text_stands_once_in_the_import_error(dags: Path) -> None:
    write_definition(dags / "bad.kindling.yaml", "dag_id: bad\npipes: [c]\n")
    errors = parse(dags).import_errors
    assert errors is not None
    assert errors["bad.kindling.yaml"].count("unknown pipe 'c'") == 1


def test_every_way_to_be_broken_leaves_the_others_alone(dags: Path) -> None:
    write_definition(dags / "good.kindling.yaml", "dag_id: good\n")
    (write_project(dags / "raising") / "pipes_drawn.py").write_text("1 / 0\n")
    (write_project(dags / "exiting") / "pipes_drawn.py").write_text("raise SystemExit(3)\n")
    write_project(dags / "cyclic", "a -> b -> a")
    for name in ("raising", "exiting", "cyclic"):
        write_definition(dags / f"{name}.kindling.yaml", f"dag_id: {name}\nproject: {name}\n")
    (dags / "binary.kindling.yaml").write_bytes(b"\xff\xfe\x00")
    (dags / "syntax.kindling.yaml").write_text("dag_id: x\nproject: *shop\n")
    (dags / "empty.kindling.yaml").touch()
    (dags / "deep.kindling.yaml").write_text("dag_id: " + "[" * 10_000)
    result = parse(dags)
    assert tasks(result) == {"good": ["a", "b"]}
    assert {name: message(text).splitlines()[0] for name, text in _errors(result).items()} == {
        "raising.kindling.yaml": "raising.kindling.yaml: module 'pipes_drawn' failed to import: "
        "ZeroDivisionError: division by zero",
        "exiting.kindling.yaml": "exiting.kindling.yaml: module 'pipes_drawn' failed to import: "
        "SystemExit: 3",
        "cyclic.kindling.yaml": "cyclic.kindling.yaml: Pipes form a cycle: 'a' -> 'b' -> 'a'",
        "binary.kindling.yaml": "binary.kindling.yaml:1: not UTF-8 text",
        "syntax.kindling.yaml": "syntax.kindling.yaml:2: the alias '*shop' is not defined "
        "before this line",
        "empty.kindling.yaml": "empty.kindling.yaml: a definition is a mapping of keys, "
        "and this file is empty",
        "deep.kindling.yaml": "deep.kindling.yaml:1: nested deeper than 20 levels",
    }


def test_the_second_definition_of_a_dag_id_is_the_broken_one(dags: Path) -> None:
    write_definition(dags / "a" / "one.kindling.yaml", "project: ../shop\ndag_id: shop\n")
    write_definition(
        dags / "b" / "two.kindling.yaml", "project: ../shop\ndag_id: shop\npipes: [a]\n"
    )
    result = parse(dags)
    assert tasks(result) == {"shop": ["a", "b"]}
    assert {name: message(text) for name, text in _errors(result).items()} == {
        "b/two.kindling.yaml": "b/two.kindling.yaml:2: dag_id: 'shop' is already the dag_id "
        "of a/one.kindling.yaml\n  Fix: give this definition its own dag_id."
    }


def test_what_airflow_refuses_is_a_broken_definition(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as an argument that this release of the Spark provider does not know."""

    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise TypeError("no such argument")

    monkeypatch.setattr("kindling_airflow.dag_factory.copied_tasks.KindlingPipeOperator", refuse)
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop\n")
    (text,) = _errors(parse(dags)).values()
    assert message(text) == (
        "shop.kindling.yaml: Airflow rejects this DAG: TypeError: no such argument"
    )
    assert text.startswith("Traceback")
    assert 'raise TypeError("no such argument")' in text


def test_a_mended_definition_is_a_dag_again(dags: Path) -> None:
    path = write_definition(dags / "shop.kindling.yaml", "dag_id: shop\npipes: [c]\n")
    assert list(_errors(parse(dags))) == ["shop.kindling.yaml"]
    path.write_text(path.read_text().replace("[c]", "[b]"))
    result = parse(dags)
    assert tasks(result) == {"shop": ["b"]}
    assert not result.import_errors


def test_a_dag_file_of_ones_own_may_hold_the_factory(dags: Path) -> None:
    (dags / "team").mkdir()
    write_definition(dags / "team" / "bad.kindling.yaml", "dag_id: [\n")
    (dags / "team" / "own.py").write_text(
        "from airflow.sdk import DAG\n"
        "from kindling_airflow import load_dags\n"
        "own = DAG('own', schedule=None)\n"
        "globals().update(load_dags(__file__))\n"
    )
    result = parse(dags, "team/own.py")
    assert tasks(result) == {"own": []}
    assert list(_errors(result)) == ["team/bad.kindling.yaml"]


def test_dags_are_returned_by_their_ids(dags: Path) -> None:
    write_definition(dags / "shop.kindling.yaml", "dag_id: shop.daily\n")
    found = load_dags(dags / "kindling_dags.py")
    assert list(found) == ["shop.daily"]
    assert isinstance(found["shop.daily"], DAG)


def test_the_stand_in_of_a_broken_definition_cannot_be_serialised(dags: Path) -> None:
    write_definition(dags / "bad.kindling.yaml", "dag_id: bad\nwidth: 0\n")
    (broken,) = load_dags(str(dags / "kindling_dags.py")).values()
    assert isinstance(broken, BrokenDefinition)
    assert broken.dag_id.startswith("kindling_broken_definition_")
    with pytest.raises(SerializationError) as caught:
        DagSerialization.to_dict(broken)
    assert str(caught.value) == "bad.kindling.yaml:3: width: must be at least 1, not 0"


def _errors(result: DagFileParsingResult) -> dict[str, str]:
    return result.import_errors or {}
