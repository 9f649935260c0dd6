"""``package``: what it writes, what it says, and when it refuses."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from kindling_airflow.cli import packaging
from kindling_airflow.cli.main import main
from kindling_airflow.cli.package_upload import place_for, put_package
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition
from kindling_airflow.deployment.project_package import content_name, read_info
from kindling_airflow.errors import DefinitionError, PackageError
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


class TestPutUnderAName:
    """``--to``: a package under a name that contains its digest."""

    @pytest.fixture
    def put(self, capsys: pytest.CaptureFixture[str]) -> Any:
        def put(to: str, *more: str, source: str = "shop.kindling.yaml") -> dict[str, Any]:
            assert main(["package", source, "--to", to, "--json", *more]) == 0
            found: dict[str, Any] = json.loads(capsys.readouterr().out)
            return found

        return put

    @pytest.mark.parametrize("form", ["{}/lake", "file://{}/lake", "lake"])
    def test_it_is_written_once(self, folder: Path, put: Any, form: str) -> None:
        to = form.format(folder)
        first, second = put(to), put(to)
        (path,) = (folder / "lake").iterdir()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert path.name == f"shop-{digest[:24]}.zip"
        assert first["package"] == second["package"] == f"{to}/{path.name}"
        assert (first["uploaded"], second["uploaded"]) == (True, False)
        assert read_info(path).manifest == first["manifest"]

    def test_another_state_has_another_name(self, folder: Path, put: Any) -> None:
        names = {put("lake")["package"]}
        (folder / "shop" / "rates.csv").write_text("EUR,1\n")
        names.add(put("lake")["package"])
        assert names == {f"lake/{path.name}" for path in (folder / "lake").iterdir()}
        assert len(names) == 2
        assert put("lake", source="shop")["package"] in names

    def test_a_person_reads_the_name(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for there in ("", "already there, "):
            assert main(["package", "shop", "--to", "lake"]) == 0
            (path,) = (folder / "lake").iterdir()
            assert capsys.readouterr().out == (
                f"lake/{path.name}: {there}1 files of the project, {path.stat().st_size:,} bytes, "
                f"{read_info(path).manifest}\n"
            )

    def test_a_definition_can_name_it(self, folder: Path, put: Any) -> None:
        name = put(f"file://{folder}/lake")["package"]
        write_definition(folder / "shop.kindling.yaml", f"dag_id: shop\npackage: {name}\n")
        compiled = compile_definition(Definition.from_file(folder / "shop.kindling.yaml"))
        assert compiled.definition.package == name

    def test_it_can_be_checked(
        self, folder: Path, put: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["package", "shop", "--to", "lake", "--check"]
        assert main(arguments) == 1
        assert capsys.readouterr().out.startswith("package not found: 'lake/shop-")
        assert not (folder / "lake").exists()
        name = put("lake", source="shop")["package"]
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"{name}: up to date\n"

    def test_a_damaged_one_is_not_taken_for_it(
        self, folder: Path, put: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = folder / put("lake")["package"]
        path.write_bytes(b"half")
        assert main(["package", "shop.kindling.yaml", "--to", "lake"]) == 1
        digest = hashlib.sha256(b"half").hexdigest()
        assert capsys.readouterr().err == (
            f"the package at 'lake/{path.name}' is damaged: its SHA-256 "
            f"is {digest}\n  Fix: delete it, and run the command again.\n"
        )

    def test_what_is_in_the_way(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "lake").write_text("a file")
        assert main(["package", "shop", "--to", "lake"]) == 1
        assert "cannot be read or written at 'lake/shop-" in capsys.readouterr().err
        assert main(["package", "shop", "--to", "nowhere://lake"]) == 2
        assert "--to 'nowhere://lake': " in capsys.readouterr().err
        assert main(["package", "shop", "--to", "lake", "-o", "x.zip"]) == 2
        assert "--to and --output exclude each other" in capsys.readouterr().err

    def test_stores_without_airflow_are_refused(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "airflow.sdk", None)
        assert main(["package", "shop", "--to", "s3://lake/code"]) == 2
        assert "object stores are reached through Airflow" in capsys.readouterr().err
        assert main(["package", "shop", "--to", "lake"]) == 0


class Store:
    """A store through Airflow's path class: fsspec's in memory, which checks for absence."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fs = MemoryFileSystem()
        self.fs.store.clear()
        self.written: list[str] = []
        real = self.fs.pipe_file

        def pipe_file(path: str, content: bytes, mode: str = "overwrite") -> None:
            self.written.append(mode)
            real(path, content, mode=mode)

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", staticmethod(pipe_file))
        registered = {"memory": lambda _conn_id, _options: self.fs}
        monkeypatch.setattr("airflow.sdk.io.fs._register_filesystems", lambda: registered)


class TestStores:
    CONTENT = b"a package"

    @pytest.fixture
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Store:
        return Store(monkeypatch)

    def test_an_object_is_created_only_if_it_is_absent(self, store: Store) -> None:
        place = place_for("memory://lake/code")
        uri, is_new = put_package(place, "shop", self.CONTENT)
        assert uri == f"memory://lake/code/{content_name('shop', self.CONTENT)}"
        assert (is_new, store.written) == (True, ["create"])
        assert put_package(place, "shop", self.CONTENT) == (uri, False)
        assert store.written == ["create"]

    def test_the_connection_is_no_part_of_the_name(self, store: Store) -> None:
        uri, _ = put_package(place_for("memory://conn@lake/code/"), "shop", self.CONTENT)
        assert uri.startswith("memory://lake/code/shop-")

    def test_who_comes_second_finds_it_there(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = place_for("memory://lake/code")
        name, real = content_name("shop", self.CONTENT), place.read
        first_looks = [None]  # before the other writer was done
        monkeypatch.setattr(
            place, "read", lambda name: first_looks.pop() if first_looks else real(name)
        )
        place.create(name, self.CONTENT)
        assert put_package(place, "shop", self.CONTENT)[1] is True
        assert store.written == ["create", "create"]

    def test_a_store_without_conditions_is_written_to_all_the_same(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept: dict[str, bytes] = {}

        def pipe_file(path: str, content: bytes) -> None:
            kept[path] = content

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", staticmethod(pipe_file))
        monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda _self, path: kept[path])
        place = place_for("memory://lake/code")
        place.create("shop.zip", self.CONTENT)
        assert place.read("shop.zip") == self.CONTENT

    def test_a_refusal_is_an_error(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def pipe_file(*_: Any, **__: Any) -> None:
            raise PermissionError("Access Denied")

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", pipe_file)
        with pytest.raises(PackageError) as refused:
            put_package(place_for("memory://lake/code"), "shop", self.CONTENT)
        assert str(refused.value) == (
            "the package cannot be read or written at "
            f"'memory://lake/code/{content_name('shop', self.CONTENT)}': PermissionError: Access "
            "Denied\n  Fix: check the path; for an object store also its Airflow provider and its "
            "connection (scheme://conn_id@bucket)."
        )


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
