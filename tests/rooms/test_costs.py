"""What it costs to add one thing, counted on things that exist: the files that mention them.

One example for each row of the table in docs/contributing/extending.md. A row that becomes dearer
fails here, and so does one that becomes cheaper, so that the table can be corrected.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "kindling_airflow"
PROJECT = PACKAGE.parent / "pyproject.toml"
CODE = [
    path
    for path in sorted(PACKAGE.rglob("*"))
    if path.suffix == ".py" or path.name == "definition.schema.json"
]


def files_with(word: str, *, quoted: bool = False) -> set[str]:
    """Return the code files in which a word occurs outside of docstrings and comments.

    Args:
        word: the word.
        quoted: only where it is a text of its own.
    """
    around = "['\"]" if quoted else r"\b"
    pattern = re.compile(f"{around}{re.escape(word)}{around}")
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in CODE
        if word in (text := path.read_text("utf-8")) and pattern.search(_code_of(path, text))
    }


def _code_of(path: Path, text: str) -> str:
    if path.suffix != ".py":
        return text
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            body[0].value = ast.Constant("")  # a docstring
    return ast.unparse(tree)


@pytest.mark.parametrize("key", ["dag_display_name", "is_paused_upon_creation"])
def test_a_key_that_goes_to_the_dag_is_in_two_files(key: str) -> None:
    assert files_with(key) == {"definitions/definition.schema.json", "cli/run/definition_keys.py"}


def test_a_key_that_reaches_the_driver_has_one_station_in_each_room() -> None:
    """The rest of its files are those that read it."""
    found = files_with("on_missing_interval")
    assert {
        "definitions/definition.schema.json",
        "definitions/definition.py",
        "dag_factory/tasks.py",
        "operators/pipe.py",
        "protocol/contracts.py",
    } <= found
    for room in ("dag_factory", "protocol"):
        assert len([name for name in found if name.startswith(room)]) == 1, room


@pytest.mark.parametrize(
    ("tag", "reader"),
    [
        ("POOL_SLOTS_TAG", "translator/task_settings.py"),
        ("READY_TIMEOUT_TAG", "tags/stream_settings.py"),
        ("DRAIN_TIMEOUT_TAG", "tags/stream_settings.py"),
    ],
)
def test_a_tag_is_a_name_a_row_and_its_reader(tag: str, reader: str) -> None:
    assert files_with(tag) == {"tags/names.py", "tags/registry.py", reader}


def test_a_storage_type_is_its_class_and_one_row() -> None:
    assert files_with("rate", quoted=True) == {"runner/providers/rate.py", "tags/storage_types.py"}


@pytest.mark.parametrize("module", ["priority", "config_based"])
def test_a_strategy_is_its_class_and_one_row(module: str) -> None:
    path = PACKAGE / "execution_strategy" / f"{module}.py"
    (name,) = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)]
    exported = {"execution_strategy/__init__.py", "__init__.py"}
    assert files_with(name) - exported == {
        f"execution_strategy/{module}.py",
        "execution_strategy/registry.py",
    }


def test_a_command_is_its_function_and_one_row() -> None:
    assert files_with("package_project") == {"cli/command_table.py", "cli/packaging.py"}


def test_a_module_is_listed_nowhere() -> None:
    """The import rules name rooms."""
    named = set(re.findall(r'"kindling_airflow\.([\w.]+)"', PROJECT.read_text("utf-8")))
    assert named
    assert {name for name in named if "." in name} == set()
