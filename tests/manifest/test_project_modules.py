"""Which files of a project's folder are its modules, and which must not be passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from kindling_airflow.manifest.project_modules import declarations_passed_over, project_modules

DECLARES = "from kindling_airflow import DataPipes\nDataPipes.view('v', sql='SELECT 1')\n"
FIX = "\n  Fix: correct that, or list the modules to import in project.modules."


def write(root: Path, files: dict[str, str]) -> Path:
    for name, source in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(source)
    return root


def passed_over(root: Path) -> list[str]:
    return [text.split("'")[1] for text in declarations_passed_over(root)]


@pytest.mark.parametrize(
    "source",
    [
        "from kindling_airflow import load_dags\nglobals().update(load_dags(__file__))\n",
        "import kindling_airflow as k\nd = k.kindling_dag(__file__, dag_id='d')\n",
        "from kindling_airflow import *\ndef make():\n    return kindling_task_group('a.yaml')\n",
    ],
)
def test_a_file_that_makes_dags_is_no_module(tmp_path: Path, source: str) -> None:
    assert project_modules(write(tmp_path, {"d.py": source, "pipes.py": DECLARES})) == ("pipes",)


@pytest.mark.parametrize(
    "source",
    [
        '"""Read by load_dags(), see there."""\n',
        "load_dags = 'only a name'\n",
        "from kindling_airflow import load_dags, DataPipes\nload_dags(__file__)\n",
        "load_dags(\n",
        "(lambda: 1)()\nload_dags\n",
    ],
    ids=["in a text", "not called", "declares as well", "broken", "another call"],
)
def test_a_file_that_does_not_or_declares_too_is_one(tmp_path: Path, source: str) -> None:
    assert project_modules(write(tmp_path, {"d.py": source})) == ("d",)


def test_a_link_to_a_folder_above_is_no_package(tmp_path: Path) -> None:
    root = write(tmp_path, {"shop/__init__.py": "", "shop/pipes.py": DECLARES, "__init__.py": ""})
    (root / "shop" / "again").symlink_to(root)
    assert project_modules(root) == ("shop", "shop.again", "shop.pipes")
    assert passed_over(root) == []


def test_a_link_to_another_folder_is_one(tmp_path: Path) -> None:
    write(tmp_path, {"lib/__init__.py": "", "lib/pipes.py": DECLARES, "shop/a.py": DECLARES})
    (tmp_path / "shop" / "lib").symlink_to(tmp_path / "lib")
    assert project_modules(tmp_path / "shop") == ("a", "lib", "lib.pipes")


def test_a_file_that_cannot_be_read_is_left_to_its_import(tmp_path: Path) -> None:
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    assert project_modules(tmp_path) == ("gone",)
    (tmp_path / "not-there.py").symlink_to(tmp_path / "nowhere")
    assert passed_over(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gold-pipes.py", "the file name 'gold-pipes' is not a name that Python can import"),
        ("2024/pipes.py", "the folder name '2024' is not a name that Python can import"),
        ("gold/pipes.py", "folder 'gold' has no __init__.py"),
        ("a/b/c/pipes.py", "folder 'a/b' has no __init__.py"),
        ("a/c/d/pipes.py", "folder 'a/c/d' has no __init__.py"),
    ],
)
def test_a_file_that_declares_and_is_no_module_is_named_with_the_reason(
    tmp_path: Path, name: str, reason: str
) -> None:
    write(tmp_path, {"a/__init__.py": "", "a/c/__init__.py": "", name: DECLARES})
    assert declarations_passed_over(tmp_path) == [
        f"file {name!r} declares pipes or entities, but {reason}{FIX}"
    ]


@pytest.mark.parametrize(
    "source",
    [
        "import kindling_airflow as k\n@k.DataPipes.pipe('p', output_entity_id='e')\ndef p(): 0\n",
        "from kindling_airflow import DataEntities\nif True:\n    DataEntities.entity('e')\n",
        "from kindling_airflow import DataPipes\nx = [DataPipes.view(n, sql='') for n in 'ab']\n",
        "class A:\n    DataPipes.view('v', sql='')\n",
    ],
)
def test_every_way_to_declare_at_the_import_counts(tmp_path: Path, source: str) -> None:
    assert passed_over(write(tmp_path, {"x-y.py": source})) == ["x-y.py"]


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0\n",
        '"""About DataPipes."""\n',
        "def declare():\n    DataPipes.view('v', sql='')\n",
        "declare = lambda: DataPipes.view('v', sql='')\n",
        "DataPipes.registry()\nDataEntities.pipe('x')\nother.view('v')\n",
        "DataPipes.view(\n",
    ],
    ids=["nothing of ours", "a text", "in a function", "in a lambda", "others", "broken"],
)
def test_what_declares_nothing_at_the_import_does_not(tmp_path: Path, source: str) -> None:
    assert passed_over(write(tmp_path, {"x-y.py": source})) == []


@pytest.mark.parametrize(
    "name",
    [
        "tests/pipes.py",
        "test/pipes.py",
        "more/test_pipes.py",
        "more/conftest.py",
        ".hidden/pipes.py",
        "more/.pipes.py",
        "env/lib/pipes.py",
        "site-packages/pipes.py",
        "more/__main__.py",
        "more/pipes.txt",
    ],
)
def test_tests_and_what_is_hidden_or_installed_are_left_out(tmp_path: Path, name: str) -> None:
    assert passed_over(write(tmp_path, {"env/pyvenv.cfg": "", name: DECLARES})) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.kindling.yaml", "dag_id: x\n"),
        ("deep/x.kindling.yml", "dag_id: x\n"),
        ("dags.py", "from kindling_airflow import load_dags\nload_dags(__file__)\n"),
    ],
)
def test_in_a_dags_folder_other_folders_are_other_projects(
    tmp_path: Path, name: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"pipes.py": DECLARES, "eu/pipes.py": DECLARES, "gold-pipes.py": DECLARES}
    assert sorted(passed_over(write(tmp_path, files))) == ["eu/pipes.py", "gold-pipes.py"]
    assert caplog.text == ""
    assert passed_over(write(tmp_path, {name: text})) == ["gold-pipes.py"]
    assert "Not imported, because its folder has no __init__.py: eu/pipes.py" in caplog.text
