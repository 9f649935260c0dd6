"""What goes into a package, what stays behind, and that it is the same bytes each time."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import kindling_airflow
from kindling_airflow import __version__
from kindling_airflow.deployment.package_content import (
    project_files,
    runtime_modules,
    write_package,
)
from kindling_airflow.errors import PackageError
from kindling_airflow.manifest.harvest import harvest
from tests.dag_factory.projects import write_project

PACKAGE = Path(kindling_airflow.__file__).parent


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_project(tmp_path / "shop")


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


class TestProject:
    def test_files_of_every_kind_travel(self, shop: Path) -> None:
        put(shop, "queries/a.sql", "data/rates.csv", "kindling.settings.yaml", "a b/ü.txt")
        assert project_files(shop).names == (
            *("a b/ü.txt", "data/rates.csv", "kindling.settings.yaml"),
            *("pipes_drawn.py", "queries/a.sql"),
        )

    def test_hidden_and_compiled_files_stay_behind_without_a_word(self, shop: Path) -> None:
        put(shop, ".env", ".git/config", "__pycache__/a.pyc", "b.pyc", "x/.secret")
        files = project_files(shop)
        assert (files.names, dict(files.left_out)) == (("pipes_drawn.py",), {})

    def test_what_looks_like_a_secret_stays_behind_and_is_named(
        self, shop: Path, tmp_path: Path
    ) -> None:
        put(shop, "deploy.KEY", "certs/ca.pem", "id_rsa", "user.keytab", "native.so")
        put(tmp_path, "outside.csv")
        (shop / "link.csv").symlink_to(tmp_path / "outside.csv")
        (shop / "inside.py").symlink_to(shop / "pipes_drawn.py")
        os.mkfifo(shop / "pipe")
        files = project_files(shop)
        assert files.names == ("inside.py", "pipes_drawn.py")
        assert dict(files.left_out) == {
            "certs/ca.pem": "looks like a secret",
            "deploy.KEY": "looks like a secret",
            "id_rsa": "looks like a secret",
            "link.csv": "a link to outside the project",
            "native.so": "cannot be imported from a zip",
            "pipe": "not a regular file",
            "user.keytab": "looks like a secret",
        }

    def test_the_package_itself_does_not_travel(self, shop: Path) -> None:
        put(shop, "shop.zip", "other.zip")
        assert project_files(shop, shop / "shop.zip").names == ("other.zip", "pipes_drawn.py")

    def test_names_that_the_package_needs_are_refused(self, shop: Path) -> None:
        put(shop, "kindling_airflow/__init__.py", "kindling-package.json")
        with pytest.raises(PackageError) as refused:
            project_files(shop)
        assert refused.value.problems == tuple(
            f"{str(shop / name)!r} has a name that is reserved in the package\n  Fix: rename it."
            for name in ("kindling-package.json", "kindling_airflow")
        )

    def test_a_source_that_stays_behind_is_an_error(self, shop: Path, tmp_path: Path) -> None:
        put(shop, "query.key")
        manifest = harvest(shop)
        sources = {**manifest.sources, "query.key": "0", ".q.sql": "0"}
        object.__setattr__(manifest, "sources", sources)
        with pytest.raises(PackageError) as refused:
            write_package(tmp_path / "x.zip", project_files(shop), manifest, __version__)
        assert refused.value.problems == tuple(
            f"{name!r} is needed by the declarations but is excluded ({reason})\n  Fix: rename it."
            for name, reason in ((".q.sql", "hidden"), ("query.key", "looks like a secret"))
        )


class TestRuntime:
    def test_it_is_the_runner_and_all_that_it_imports(self) -> None:
        found = runtime_modules()
        names = {name.removeprefix("kindling_airflow/") for name in found}
        assert {p.relative_to(PACKAGE).as_posix() for p in (PACKAGE / "runner").rglob("*.py")} <= (
            names
        )
        wanted = {"__init__.py", "errors.py", "protocol/contracts.py", "data_pipes/__init__.py"}
        assert wanted | {"manifest/harvest.py"} <= names
        assert list(found) == sorted(found)

    def test_nothing_of_airflow_is_in_it(self) -> None:
        rooms = {name.split("/")[1] for name in runtime_modules() if name.count("/") > 1}
        declared = {"common", "protocol", "data_pipes", "tags", "manifest", "deployment"}
        assert rooms == {"runner", "lineage"} | declared

    def test_all_of_it_imports_where_there_is_nothing_but_spark(self, tmp_path: Path) -> None:
        """Neither Airflow nor networkx."""
        for library in ("pyspark", "py4j"):
            found = importlib.util.find_spec(library)
            assert found is not None
            assert found.origin is not None
            (tmp_path / library).symlink_to(Path(found.origin).parent)
        for name, path in runtime_modules().items():
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        modules = [n.removesuffix(".py").replace("/", ".") for n in runtime_modules()]
        program = (
            "import importlib, sys\n"
            "own = [entry for entry in sys.path if 'site-packages' not in entry]\n"
            f"sys.path[:] = [{str(tmp_path)!r}, *own]\n"
            "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
            f"for name in {[m.removesuffix('.__init__') for m in modules]!r}:\n"
            "    module = importlib.import_module(name)\n"
            f"    assert module.__file__.startswith({str(tmp_path)!r}), module.__file__\n"
            "print([n for n in ('airflow', 'networkx', 'yaml') if n in sys.modules])\n"
        )
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "[]\n", done.stderr

    def test_imports_are_followed_wherever_they_stand(self, tmp_path: Path) -> None:
        put(tmp_path, "__init__.py", "unused.py", "sub/__init__.py", "sub/deep.py")
        texts = {
            "__init__.py": "",
            "sub/__init__.py": "",
            "sub/deep.py": "import kindling_airflow",
            "runner/__init__.py": "from . import main",
            "runner/main.py": (
                "from typing import TYPE_CHECKING\n"
                "if TYPE_CHECKING:\n    import kindling_airflow.typed\nelse:\n"
                "    import kindling_airflow.other\n"
                "def f():\n    from kindling_airflow.sub import deep\n"
                "    from kindling_airflow.values import name\n    import json\n"
            ),
            "other.py": "import kindling_airflow.missing",
            "typed.py": "",
            "values.py": "name = 1",
        }
        put(tmp_path, *texts)
        for name, text in texts.items():
            (tmp_path / name).write_text(text)
        assert list(runtime_modules(tmp_path)) == [
            "kindling_airflow/__init__.py",
            "kindling_airflow/other.py",
            "kindling_airflow/runner/__init__.py",
            "kindling_airflow/runner/main.py",
            "kindling_airflow/sub/__init__.py",
            "kindling_airflow/sub/deep.py",
            "kindling_airflow/values.py",
        ]


class TestBytes:
    def test_they_are_the_same_whenever_and_wherever_it_is_made(
        self, shop: Path, tmp_path: Path
    ) -> None:
        put(shop, "z.sql", "a.sql")
        digests = set()
        for n in range(2):
            os.utime(shop / "a.sql", (n, n))
            (shop / "a.sql").chmod(0o600 + n)
            path = tmp_path / f"{n}.zip"
            write_package(path, project_files(shop), harvest(shop), __version__)
            digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
        moved = shop.rename(tmp_path / "moved")
        write_package(tmp_path / "m.zip", project_files(moved), harvest(moved), __version__)
        digests.add(hashlib.sha256((tmp_path / "m.zip").read_bytes()).hexdigest())
        assert len(digests) == 1

    def test_entries_are_sorted_and_of_one_date(self, shop: Path, tmp_path: Path) -> None:
        write_package(tmp_path / "p.zip", project_files(shop), harvest(shop), __version__)
        with zipfile.ZipFile(tmp_path / "p.zip") as package:
            entries = package.infolist()
        names = [entry.filename for entry in entries]
        assert names == sorted(names)
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in entries} == {0o100644}

    def test_a_driver_without_metadata_takes_the_version_from_its_package(
        self, shop: Path, tmp_path: Path
    ) -> None:
        write_package(tmp_path / "p.zip", project_files(shop), harvest(shop), "9.8.7")
        program = (
            "import sys\n"
            "own = [entry for entry in sys.path if 'site-packages' not in entry]\n"
            f"sys.path[:] = [{str(tmp_path / 'p.zip')!r}, *own]\n"
            "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]\n"
            "import kindling_airflow\n"
            "print(kindling_airflow.__version__)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == "9.8.7\n", done.stderr
