"""``kindling-airflow compile``: what it writes, what it says, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.manifest import Manifest
from tests.dag_factory.projects import write_definition, write_project

COMMAND = (sys.executable, "-m", "kindling_airflow.cli.main")
ID_FIX = "\n  Fix: correct the id, or import the module that declares the pipe."
LIFETIME = (
    "lifetime: 'continuous' is for streams, and the plan has none\n"
    "  Fix: tag the pipes that stream with processing_mode: streaming, or remove it."
)


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    write_project(tmp_path / "shop", "a -> b, a -> c")
    return write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\n")


def test_it_writes_the_manifest_beside_the_definition_and_says_so(
    definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", str(definition)]) == 0
    target = definition.with_name("shop.manifest.json")
    captured = capsys.readouterr()
    assert captured.out == (
        f"{target}: 3 pipes, no entities\n"
        "DAG 'shop': 3 pipes in 2 generations, at most 2 in parallel\n"
    )
    assert captured.err == ""
    manifest = Manifest.read(target)
    assert manifest.get_pipe_ids() == ["a", "b", "c"]
    assert manifest.modules == ("pipes_drawn",)
    assert set(manifest.sources) == {"pipes_drawn.py"}


def test_the_plan_may_have_fewer_pipes_than_the_manifest(
    definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_definition(definition, "dag_id: shop\npipes: [a, b]\n")
    assert main(["compile", str(definition)]) == 0
    manifest, dag = capsys.readouterr().out.splitlines()
    assert manifest.endswith(": 3 pipes, no entities")
    assert dag == "DAG 'shop': 2 pipes in 2 generations, at most 1 in parallel"


def test_it_writes_where_it_is_told(definition: Path, tmp_path: Path) -> None:
    assert main(["compile", str(definition), "-o", str(tmp_path / "x.json")]) == 0
    assert Manifest.read(tmp_path / "x.json").get_pipe_ids() == ["a", "b", "c"]
    assert not definition.with_name("shop.manifest.json").exists()


def test_it_writes_where_the_definition_looks(definition: Path, tmp_path: Path) -> None:
    (tmp_path / "compiled").mkdir()
    write_definition(definition, "dag_id: shop\nmanifest: compiled/shop.json\n")
    assert main(["compile", str(definition)]) == 0
    assert Manifest.read(tmp_path / "compiled" / "shop.json").get_pipe_ids() == ["a", "b", "c"]


def test_the_same_project_gives_the_same_bytes(definition: Path, tmp_path: Path) -> None:
    """In other processes, with other hash seeds, from other folders."""
    texts = set()
    for n, folder in enumerate((tmp_path, Path("/"))):
        target = tmp_path / f"{n}.json"
        subprocess.run(
            [*COMMAND, "compile", str(definition), "--output", str(target)],
            cwd=folder,
            env={**os.environ, "PYTHONHASHSEED": str(n)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        texts.add(target.read_bytes())
    assert main(["compile", str(definition), "-o", str(tmp_path / "own.json")]) == 0
    assert texts == {(tmp_path / "own.json").read_bytes()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dag_id: shop\nwidht: 2\n", ":3: widht: unknown key 'widht'. Did you mean 'width'?"),
        ("dag_id: shop\npipes: [d]\n", f": unknown pipe 'd'.{ID_FIX}"),
        ("dag_id: shop\nlifetime: continuous\n", f":3: {LIFETIME}"),
    ],
)
def test_a_broken_definition_is_status_1_with_the_problems_on_standard_error(
    definition: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    write_definition(definition, text)
    assert main(["compile", str(definition)]) == 1
    assert capsys.readouterr() == ("", f"{definition}{said}\n")
    assert files(definition.parent) <= {"shop", "shop.imports", "shop.kindling.yaml"}


def test_a_definition_that_is_not_there_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", str(tmp_path / "no.kindling.yaml")]) == 2
    assert capsys.readouterr().err == (
        "kindling-airflow compile: file or folder not found: "
        f"{str(tmp_path / 'no.kindling.yaml')!r}\n"
    )


def test_a_module_that_does_not_import_is_status_1_with_its_traceback(
    definition: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = definition.parent / "shop" / "pipes_drawn.py"
    module.write_text("print('hello from the module')\n1 / 0\n")
    assert main(["compile", str(definition)]) == 1
    captured = capsys.readouterr()
    assert "module 'pipes_drawn' failed to import: ZeroDivisionError" in captured.err
    assert f'File "{module}", line 2' in captured.err


def test_a_failure_leaves_the_previous_manifest_as_it_was(definition: Path) -> None:
    assert main(["compile", str(definition)]) == 0
    target = definition.with_name("shop.manifest.json")
    before = target.read_bytes()
    write_project(definition.parent / "shop", "a -> b -> a")
    assert main(["compile", str(definition)]) == 1
    assert target.read_bytes() == before


def test_a_place_that_cannot_be_written_is_status_2_and_leaves_nothing(
    definition: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    target = tmp_path / "nowhere" / "x.json"
    assert main(["compile", str(definition), "-o", str(target)]) == 2
    said = f"cannot write the manifest '{target}': No such file or directory\n"
    assert capsys.readouterr() == ("", f"kindling-airflow compile: {said}")
    (tmp_path / "taken.json").mkdir()
    assert main(["compile", str(definition), "-o", str(tmp_path / "taken.json")]) == 2
    assert files(tmp_path) - before == {"shop.imports", "taken.json"}


@pytest.mark.parametrize("arguments", [[], ["compile"], ["compile", "a", "b"], ["no-such-command"]])
def test_a_wrong_call_is_status_2_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: kindling-airflow")


def test_it_needs_neither_airflow_nor_spark(definition: Path) -> None:
    program = (
        "import sys\n"
        "for name in ('airflow', 'pyspark'): sys.modules[name] = None\n"
        "from kindling_airflow.cli.main import main\n"
        f"sys.exit(main(['compile', {str(definition)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_sample_project_compiles(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "dags" / "flights.kindling.yaml"
    target = tmp_path / "flights.json"
    assert main(["compile", str(sample), "-o", str(target)]) == 0
    assert len(json.loads(target.read_text())["pipes"]) >= 12


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
