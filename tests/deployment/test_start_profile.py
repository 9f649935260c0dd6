"""The start-up profile: which archive is found, and what a driver's JVM is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kindling_airflow.deployment.start_profile import (
    Installation,
    ProfileMode,
    archive_in,
    archive_name,
    driver_options,
    find_installation,
)

SILENT = "-Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off"


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with a Java and a Spark, as its variables say it."""
    (tmp_path / "java" / "bin").mkdir(parents=True)
    (tmp_path / "java" / "release").write_text('JAVA_RUNTIME_VERSION="17.0.15+6"\n')
    for name in ("bin", "jars"):
        (tmp_path / "spark" / name).mkdir(parents=True)
    (tmp_path / "spark" / "jars" / "spark-core.jar").write_bytes(b"core")
    for program in (tmp_path / "java/bin/java", tmp_path / "spark/bin/spark-submit"):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return {
        "JAVA_HOME": str(tmp_path / "java"),
        "SPARK_HOME": str(tmp_path / "spark"),
        "PATH": os.pathsep.join((str(tmp_path / "java/bin"), str(tmp_path / "spark/bin"))),
    }


def found(machine: dict[str, str], *without: str) -> Installation:
    installation = find_installation({k: v for k, v in machine.items() if k not in without})
    assert installation is not None
    return installation


class TestInstallation:
    def test_variables_and_path_lead_to_the_same(self, machine: dict[str, str]) -> None:
        said = found(machine)
        assert said == found(machine, "JAVA_HOME", "SPARK_HOME")
        assert str(said.java_home) == machine["JAVA_HOME"]
        assert str(said.spark_home) == machine["SPARK_HOME"]

    def test_installed_pyspark_is_found_through_its_programs(
        self, machine: dict[str, str], tmp_path: Path
    ) -> None:
        environment = tmp_path / "venv"
        home = environment / "lib" / "python3.11" / "site-packages" / "pyspark"
        (home / "jars").mkdir(parents=True)
        (environment / "bin").mkdir()
        (environment / "jars").mkdir()  # not Spark's: its programs lie elsewhere
        for name in ("spark-submit", "find_spark_home.py"):
            (environment / "bin" / name).write_text("#!/bin/sh\n")
            (environment / "bin" / name).chmod(0o755)
        machine["PATH"] = str(environment / "bin")
        assert found(machine, "SPARK_HOME").spark_home == home

    def test_programs_beside_this_python_are_found_last(
        self, machine: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", str(Path(machine["SPARK_HOME"]) / "bin" / "python"))
        machine["PATH"] = "/nowhere"
        assert str(found(machine, "SPARK_HOME").spark_home) == machine["SPARK_HOME"]

    def test_another_release_of_either_has_another_key(self, machine: dict[str, str]) -> None:
        keys = {found(machine).key}
        Path(machine["JAVA_HOME"], "release").write_text('JAVA_RUNTIME_VERSION="17.0.16+1"\n')
        keys.add(found(machine).key)
        Path(machine["SPARK_HOME"], "jars", "spark-core.jar").write_bytes(b"another")
        keys.add(found(machine).key)
        Path(machine["SPARK_HOME"], "jars", "more.jar").write_bytes(b"")
        keys.add(found(machine).key)
        assert len(keys) == 4

    def test_the_same_files_at_another_time_have_the_same_key(
        self, machine: dict[str, str]
    ) -> None:
        """Layers of a container image do not keep every time."""
        before = found(machine).key
        os.utime(Path(machine["SPARK_HOME"], "jars"), (0, 0))
        os.utime(Path(machine["JAVA_HOME"], "release"), (0, 0))
        assert found(machine).key == before

    @pytest.mark.parametrize(
        ("variable", "value"), [("JAVA_HOME", ""), ("SPARK_HOME", ""), ("SPARK_HOME", "/nowhere")]
    )
    def test_where_one_is_missing_there_is_none(
        self,
        machine: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
        value: str,
    ) -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        machine |= {variable: value, "PATH": "/nowhere"}
        assert find_installation(machine) is None

    def test_java_without_a_release_file_is_none_of_ours(self, machine: dict[str, str]) -> None:
        Path(machine["JAVA_HOME"], "release").unlink()
        assert find_installation(machine) is None


class TestArchive:
    def test_it_is_found_by_its_name(self, machine: dict[str, str], tmp_path: Path) -> None:
        installation = found(machine)
        archive = tmp_path / archive_name(installation, 5)
        assert archive.name == f"spark-{installation.key}-5.jsa"
        assert archive_in(tmp_path, installation) is None
        archive.write_bytes(b"12345")
        assert archive_in(tmp_path, installation) == archive

    @pytest.mark.parametrize("content", [b"", b"1234", b"123456"])
    def test_one_that_is_not_whole_is_none(
        self, machine: dict[str, str], tmp_path: Path, content: bytes
    ) -> None:
        """A JVM that maps an archive which was cut short dies of SIGBUS."""
        installation = found(machine)
        (tmp_path / archive_name(installation, 5)).write_bytes(content)
        assert archive_in(tmp_path, installation) is None

    def test_where_there_is_no_folder_there_is_none(
        self, machine: dict[str, str], tmp_path: Path
    ) -> None:
        assert archive_in(tmp_path / "nowhere", found(machine)) is None


class TestOptions:
    archive = Path("/profile/spark.jsa")

    def test_each_mode_says_what_it_stands_for(self) -> None:
        use = f"-XX:SharedArchiveFile=/profile/spark.jsa {SILENT}"
        light = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
        assert driver_options(ProfileMode.ARCHIVE, self.archive) == use
        assert driver_options(ProfileMode.LIGHT, self.archive) == f"{light} {use}"
        assert driver_options(ProfileMode.OFF, self.archive) == ""

    def test_without_an_archive_the_rest_is_left(self) -> None:
        assert driver_options(ProfileMode.ARCHIVE, None) == ""
        assert driver_options(ProfileMode.LIGHT, None) == "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"

    @pytest.mark.parametrize(
        ("said", "left"),
        [
            ("-Dx=1 -XX:+UseG1GC", "-XX:TieredStopAtLevel=1"),
            ("-XX:-UseParallelGC", "-XX:TieredStopAtLevel=1"),
            ("-XX:TieredStopAtLevel=4", "-XX:+UseSerialGC"),
            ("-XX:-TieredCompilation", "-XX:+UseSerialGC"),
            ("-Xint", "-XX:+UseSerialGC"),
        ],
    )
    def test_what_somebody_has_said_is_left_alone(self, said: str, left: str) -> None:
        assert driver_options(ProfileMode.LIGHT, None, said) == left

    @pytest.mark.parametrize("said", ["-XX:SharedArchiveFile=/own.jsa", "-Xshare:off"])
    def test_an_archive_of_the_users_own_is_left_alone(self, said: str) -> None:
        assert driver_options(ProfileMode.ARCHIVE, self.archive, said) == ""

    def test_paths_are_quoted_as_sparks_launcher_reads_them(self) -> None:
        options = driver_options(ProfileMode.ARCHIVE, Path('/a b/"c\\d.jsa'))
        assert options == f'"-XX:SharedArchiveFile=/a b/\\"c\\\\d.jsa" {SILENT}'
