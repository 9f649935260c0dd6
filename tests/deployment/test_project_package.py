"""Packages as they are read: what they say of themselves, where they do not fit, unpacking."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow import __version__
from kindling_airflow.deployment.package_content import project_files, write_package
from kindling_airflow.deployment.project_package import (
    INFO_NAME,
    PackageInfo,
    content_name,
    find_package,
    package_problems,
    read_info,
    unpack,
    uri_for_spark,
)
from kindling_airflow.errors import PackageError
from kindling_airflow.manifest.harvest import harvest
from kindling_airflow.manifest.project_code import code_roots, project_code
from tests.dag_factory.projects import write_project

REMEDY = "\n  Fix: build it with 'airflow kindling package'."
AGAIN = "\n  Fix: rebuild it with 'airflow kindling package'."


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package of a project with a module and a data file."""
    write_project(tmp_path / "shop")
    (tmp_path / "shop" / "data").mkdir()
    (tmp_path / "shop" / "data" / "rates.csv").write_text("EUR,1\n")
    return packed(tmp_path, "shop.zip")


def packed(folder: Path, name: str) -> Path:
    write_package(
        folder / name, project_files(folder / "shop"), harvest(folder / "shop"), __version__
    )
    return folder / name


def with_info(package: Path, document: Any) -> Path:
    path = package.with_name("other.zip")
    with zipfile.ZipFile(path, "w") as written:
        written.writestr(INFO_NAME, json.dumps(document))
    return path


class TestReading:
    def test_it_says_what_it_was_made_of(self, package: Path) -> None:
        info = read_info(package)
        assert info.manifest == harvest(package.parent / "shop").digest
        assert (info.modules, info.release) == (("pipes_drawn",), __version__)
        assert list(info.files) == ["data/rates.csv", "pipes_drawn.py"]
        with zipfile.ZipFile(package) as content:
            assert json.loads(content.read(INFO_NAME)) == info.to_json()

    def test_what_is_not_there_or_no_package_is_refused(
        self, package: Path, tmp_path: Path
    ) -> None:
        cases = {
            tmp_path / "no.zip": f"package not found: {str(tmp_path / 'no.zip')!r}",
            tmp_path: f"the package {str(tmp_path)!r} cannot be read: [Errno 21] Is a directory: "
            f"{str(tmp_path)!r}",
        }
        text = tmp_path / "text.zip"
        text.write_text("text")
        cases[text] = f"the package {str(text)!r} cannot be read: File is not a zip file"
        empty = tmp_path / "empty.zip"
        zipfile.ZipFile(empty, "w").close()
        cases[empty] = f"{str(empty)!r} is not a project package"
        for path, said in cases.items():
            with pytest.raises(PackageError) as refused:
                read_info(path)
            assert str(refused.value) == said + REMEDY

    @pytest.mark.parametrize("document", [[], {}, {"package_version": 1}, 7, None])
    def test_other_documents_are_refused(self, package: Path, document: Any) -> None:
        other = with_info(package, document)
        with pytest.raises(PackageError) as refused:
            read_info(other)
        assert str(refused.value) == f"{str(other)!r} is not a project package{REMEDY}"

    def test_another_version_is_refused(self, package: Path) -> None:
        other = with_info(package, {**read_info(package).to_json(), "package_version": 2})
        with pytest.raises(PackageError) as refused:
            read_info(other)
        assert str(refused.value) == f"the package {str(other)!r} is not of version 1{REMEDY}"


class TestFitting:
    path = Path("shop.zip")

    def info(self, **changes: Any) -> PackageInfo:
        said = {"manifest": "sha256:1", "modules": ("m",), "release": __version__, "files": {}}
        return PackageInfo(**{**said, **changes})

    def test_the_same_state_fits(self) -> None:
        assert package_problems(self.path, self.info(), "sha256:1", {}) == []

    def test_files_that_changed_are_named(self) -> None:
        info = self.info(files={"a.py": "1", "b.sql": "1"})
        now = {"a.py": "2", "b.sql": "1", "c.csv": "1"}
        said = (
            "the package 'shop.zip' was built from another state of the project (changed since: "
            "'a.py', "
            "'c.csv'), so drivers would run different code than the plan was compiled from"
        )
        assert package_problems(self.path, info, "sha256:1", now) == [said + AGAIN]
        many = {f"{n}.py": "1" for n in range(9)}
        (problem,) = package_problems(self.path, info, "sha256:1", many)
        assert "'0.py', '1.py', '2.py', '3.py', '4.py' and 4 more" in problem

    def test_other_modules_of_the_same_files_do_not_fit(self) -> None:
        (problem,) = package_problems(self.path, self.info(), "sha256:2", {})
        assert "(other modules are imported)" in problem

    def test_another_release_does_not_fit(self) -> None:
        said = (
            "the package 'shop.zip' was built by release 0.0.1, but this is release "
            f"{__version__}{AGAIN}"
        )
        assert package_problems(self.path, self.info(release="0.0.1"), "sha256:1", {}) == [said]


class TestOnADriver:
    def test_the_package_of_the_plan_is_found_among_others(
        self, package: Path, tmp_path: Path
    ) -> None:
        wanted = read_info(package).manifest
        (tmp_path / "shop" / "more.py").touch()
        other = packed(tmp_path, "newer.zip")
        junk = tmp_path / "junk.zip"
        junk.write_text("junk")
        entries = ["", str(tmp_path), "/nowhere.zip", str(junk), str(other), str(package)]
        assert find_package(wanted, entries) == package
        with pytest.raises(PackageError) as refused:
            find_package(wanted, entries[:-1])
        assert str(refused.value) == (
            f"the driver needs the package of manifest {wanted}, but only 'newer.zip' is on its "
            "import path\n  Fix: rebuild the package with 'airflow kindling package' and put "
            "it at the path that the definition's 'package' names."
        )

    def test_it_looks_at_the_import_path(
        self, package: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wanted = read_info(package).manifest
        with pytest.raises(PackageError, match="but none is on its import path"):
            find_package(wanted)
        monkeypatch.syspath_prepend(str(package))
        assert find_package(wanted) == package

    def test_one_with_a_digest_in_its_name_has_that_content(
        self, package: Path, tmp_path: Path
    ) -> None:
        wanted, content = read_info(package).manifest, package.read_bytes()
        named = tmp_path / content_name("shop", content)
        package.rename(named)
        assert find_package(wanted, [str(named)]) == named
        with zipfile.ZipFile(named, "a") as damaged:
            damaged.writestr("kindling_airflow/runner/more.py", "1\n")
        digest = hashlib.sha256(named.read_bytes()).hexdigest()
        with pytest.raises(PackageError) as refused:
            find_package(wanted, [str(named)])
        assert str(refused.value) == (
            f"the package {named.name!r} is damaged: its SHA-256 is {digest}\n"
            "  Fix: delete it, and upload it with 'airflow kindling package --to'."
        )

    def test_its_code_is_that_of_the_folder(self, package: Path, tmp_path: Path) -> None:
        unpack(package, tmp_path / "out")
        manifest = harvest(tmp_path / "shop")
        roots = code_roots(manifest.sources, manifest.modules)
        folder = project_code(tmp_path / "shop", roots)
        assert project_code(tmp_path / "out", roots).digest == folder.digest != ""

    def test_the_project_comes_out_as_it_went_in(self, package: Path, tmp_path: Path) -> None:
        unpack(package, tmp_path / "out")
        assert (tmp_path / "out" / "data" / "rates.csv").read_text() == "EUR,1\n"
        assert harvest(tmp_path / "out").digest == read_info(package).manifest
        assert not (tmp_path / "out" / "kindling_airflow").exists()

    @pytest.mark.parametrize("name", ["../escaped.py", "/escaped.py", "pipes_drawn.py"])
    def test_what_is_damaged_or_leads_out_is_refused(
        self, package: Path, tmp_path: Path, name: str
    ) -> None:
        info = read_info(package).to_json()
        bad = tmp_path / "bad.zip"
        with zipfile.ZipFile(bad, "w") as written:
            written.writestr(INFO_NAME, json.dumps({**info, "files": {name: "0" * 64}}))
            written.writestr(name, "1")
        with pytest.raises(PackageError) as refused:
            unpack(bad, tmp_path / "deep" / "out")
        assert str(refused.value) == f"the package {str(bad)!r} is damaged: {name!r}"
        assert not (tmp_path / "deep").exists()


@pytest.mark.parametrize(
    ("package", "conf", "uri"),
    [
        ("/mnt/code/shop.zip", {}, "/mnt/code/shop.zip"),
        ("file:///mnt/shop.zip", {}, "file:///mnt/shop.zip"),
        ("s3://lake/shop.zip", {}, "s3a://lake/shop.zip"),
        ("s3n://lake/shop.zip", {}, "s3a://lake/shop.zip"),
        ("s3a://lake/shop.zip", {}, "s3a://lake/shop.zip"),
        ("s3://lake/shop.zip", {"spark.hadoop.fs.s3.impl": "x.Y"}, "s3://lake/shop.zip"),
        ("gs://lake/shop.zip", {}, "gs://lake/shop.zip"),
        ("hdfs://nn:8020/shop.zip", {}, "hdfs://nn:8020/shop.zip"),
    ],
)
def test_spark_gets_the_name_that_hadoop_reads(
    package: str, conf: dict[str, str], uri: str
) -> None:
    assert uri_for_spark(package, conf) == uri
