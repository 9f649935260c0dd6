"""``package``: what it writes, what it says, and when it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kindling_airflow.cli import packaging
from kindling_airflow.cli.main import main
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.deployment.project_package import read_info
from kindling_airflow.errors import DefinitionError
from tests.dag_factory.projects import write_definition, write_project

AGAIN = (
    ", so drivers would run different code than the plan was compiled from\n"
    "  Fix: rebuild it with 'airflow kindling package'.\n"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a project and its definition, which names a package."""
    write_project(tmp_path / "shop", "a -> b")
    write_definition(tmp_path / "shop.kindling.yaml", "dag_id: shop\npackage: built/shop.zip\n")
    (tmp_path / "built").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_goes_where_the_definition_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "shop" / "deploy.key").touch()
    assert main(["package", "shop.kindling.yaml"]) == 0
    target = folder / "built" / "shop.zip"
    info = read_info(target)
    assert capsys.readouterr().out == (
        f"{target}: 1 files of the project, {target.stat().st_size:,} bytes, {info.manifest}\n"
        "  excluded: deploy.key: looks like a secret\n"
    )
    compiled = compile_definition(Definition.from_file(folder / "shop.kindling.yaml"))
    assert compiled.base.digest == info.manifest


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (["shop"], "shop.zip"),
        (["shop", "-m", "pipes_drawn"], "shop.zip"),
        (["shop", "-o", "x.zip"], "x.zip"),
        (["plain.kindling.yaml"], "plain.zip"),
        (["shop.kindling.yaml", "-o", "x.zip"], "x.zip"),
    ],
)
def test_or_where_it_is_told_or_beside_the_source(
    folder: Path, arguments: list[str], target: str
) -> None:
    write_definition(folder / "plain.kindling.yaml", "dag_id: plain\n")
    assert main(["package", *arguments]) == 0
    assert read_info(folder / target).modules == ("pipes_drawn",)


def test_programs_get_a_document(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["package", "shop", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    info = read_info(folder / "shop.zip")
    assert document == {
        "package": str(folder / "shop.zip"),
        "bytes": (folder / "shop.zip").stat().st_size,
        **info.to_json(),
        "left_out": {},
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "file or folder not found: 'nowhere'"),
        (["x.json"], "'x.json' is not a definition or a project folder"),
        (["shop", "-o", "x.tar"], "the name of a package must end in .zip: 'x.tar'"),
        (["far.kindling.yaml"], "the definition's package is not a local file: set"),
        (["shop.kindling.yaml", "-m", "x"], "a definition lists its own modules"),
    ],
)
def test_wrong_calls(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (folder / "x.json").write_text("[]")
    write_definition(folder / "far.kindling.yaml", "dag_id: far\npackage: s3a://lake/shop.zip\n")
    assert main(["package", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"kindling-airflow package: {said}")


def test_what_does_not_compile_is_not_packaged(folder: Path) -> None:
    write_project(folder / "shop", "a -> b -> a")
    assert main(["package", "shop"]) == 1
    assert not (folder / "shop.zip").exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "from kindling_airflow import PipeGraph\n",
            "No module named 'kindling_airflow.pipe_graph'",
        ),
        ("import airflow\n", "No module named 'airflow': a cluster has none"),
        (
            "import os, kindling_airflow as k; k.DataEntities.entity(entityid=str(os.getpid()))",
            "the project's declarations differ when they are imported from its package",
        ),
    ],
)
def test_what_works_only_here_is_refused_and_the_old_package_stays(
    folder: Path, capsys: pytest.CaptureFixture[str], code: str, said: str
) -> None:
    assert main(["package", "shop"]) == 0
    before = (folder / "shop.zip").read_bytes()
    (folder / "shop" / "more.py").write_text(code)
    assert main(["package", "shop"]) == 1
    assert said in capsys.readouterr().err
    assert (folder / "shop.zip").read_bytes() == before
    assert [path.name for path in folder.glob(".*")] == []


def test_a_place_that_cannot_be_written_is_a_wrong_call(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["package", "shop", "-o", "no/such/shop.zip"]) == 2
    assert capsys.readouterr().err == (
        "kindling-airflow package: cannot write 'no/such/shop.zip': No such file or directory\n"
    )


def test_what_a_project_prints_is_not_in_the_document(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = folder / "shop" / "pipes_drawn.py"
    module.write_text("print('hello')\n" + module.read_text())
    assert main(["package", "shop", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["package"] == str(folder / "shop.zip")
    assert said.err == "hello\n"


class TestStale:
    """Nothing runs other code than its plan was made from."""

    @pytest.fixture(autouse=True)
    def _packaged(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "shop" / "rates.csv").write_text("EUR,1\n")
        assert main(["package", "shop.kindling.yaml"]) == 0
        capsys.readouterr()

    def test_a_package_of_this_state_is_sound(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["validate", "shop.kindling.yaml"]) == 0
        assert main(["package", "shop.kindling.yaml", "--check"]) == 0
        assert capsys.readouterr().out.endswith(f"{folder / 'built' / 'shop.zip'}: up to date\n")

    def test_a_changed_module_is_refused_by_the_dag_and_by_validate(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with (folder / "shop" / "pipes_drawn.py").open("a") as module:
            module.write("# changed\n")
        said = (
            f"the package {str(folder / 'built' / 'shop.zip')!r} was built from another state of "
            f"the project (changed since: 'pipes_drawn.py'){AGAIN}"
        )
        with pytest.raises(DefinitionError) as refused:
            compile_definition(Definition.from_file(folder / "shop.kindling.yaml"))
        assert str(refused.value) == f"{folder / 'shop.kindling.yaml'}: {said}".rstrip()
        for command in ("validate", "compile"):
            assert main([command, "shop.kindling.yaml"]) == 1
            captured = capsys.readouterr()
            assert captured.out + captured.err == f"shop.kindling.yaml: {said}"
        assert main(["package", "shop.kindling.yaml", "--check"]) == 1
        assert capsys.readouterr().out == said

    def test_a_changed_data_file_is_found_by_validate(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "shop" / "rates.csv").write_text("EUR,2\n")
        assert main(["validate", "shop.kindling.yaml"]) == 1
        assert "(changed since: 'rates.csv')" in capsys.readouterr().out
        assert main(["package", "shop.kindling.yaml", "--check", "--json"]) == 1
        document = json.loads(capsys.readouterr().out)
        assert (document["current"], len(document["problems"])) == (False, 1)

    def test_a_package_that_is_not_there_is_refused(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "built" / "shop.zip").unlink()
        assert main(["validate", "shop.kindling.yaml"]) == 1
        said = f"package not found: {str(folder / 'built' / 'shop.zip')!r}"
        assert said in capsys.readouterr().out
        assert main(["package", "shop.kindling.yaml", "--check"]) == 1
        assert said in capsys.readouterr().out

    def test_one_that_lies_elsewhere_is_the_drivers_to_check(self, folder: Path) -> None:
        write_definition(folder / "far.kindling.yaml", "dag_id: far\npackage: s3a://l/shop.zip\n")
        assert main(["validate", "far.kindling.yaml"]) == 0
        compiled = compile_definition(Definition.from_file(folder / "far.kindling.yaml"))
        assert compiled.definition.package == "s3a://l/shop.zip"


def test_its_trial_is_a_program_of_its_own() -> None:
    compile(packaging._TRIAL, "-", "exec")
