"""The start-up profile on real JVMs: it is used where it fits, and never an error where not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.cli.main import main
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.deployment.start_profile import archive_in, archive_name, find_installation
from kindling_airflow.operators.driver.start_options import submit_options
from tests.system.conftest import PROFILES

pytestmark = pytest.mark.system

MODES = ("archive", "light")


@pytest.fixture(scope="module")
def archive() -> Path:
    return warm_archive(PROFILES).path


def _start(options: str, folder: Path, **variables: str) -> tuple[int, int, str]:
    """Start a JVM as a driver's is; return its status, the classes from the archive, its output."""
    log = folder / "classes.log"
    done = subprocess.run(
        [Path(sys.executable).parent / "spark-submit", "--version"],
        cwd=folder,  # where a JVM that dies leaves its account
        env={
            **os.environ,
            **variables,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_SUBMIT_OPTS": f"{options} -Xlog:class+load=info:file={log}",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    return done.returncode, text.count("shared objects file (top)"), done.stdout


def _options(folder: Path, monkeypatch: pytest.MonkeyPatch, mode: str, **properties: str) -> str:
    monkeypatch.setenv("AIRFLOW__KINDLING__START_PROFILE_FOLDER", str(folder))
    named = {"spark.kindling.startProfile": mode, **properties}
    return submit_options(named, os.environ, "spark-submit")


def test_warm_finds_what_is_there_and_says_so(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = archive.stat().st_mtime_ns
    assert main(["warm", "--folder", str(PROFILES), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["archive"], document["made"]) == (str(archive), False)
    assert document["bytes"] == archive.stat().st_size
    assert document["classes_at_start"] > 1000
    assert archive.stat().st_mtime_ns == before
    assert main(["warm", "--folder", str(PROFILES)]) == 0
    assert capsys.readouterr().out.startswith(f"Up to date: {archive} (")


def test_warm_that_cannot_says_why_and_ends_with_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert main(["warm", "--folder", str(tmp_path / "profile")]) == 1
    assert capsys.readouterr().err == (
        "no start-up profile: no Spark with a Java was found\n"
        "  Fix: install pyspark beside this package and set JAVA_HOME, or set SPARK_HOME.\n"
    )


@pytest.mark.parametrize("mode", MODES)
def test_drivers_take_their_classes_from_it(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    status, classes, said = _start(_options(PROFILES, monkeypatch, mode), tmp_path)
    assert status == 0, said
    assert classes > 1000
    assert "[warning]" not in said  # as the JVM marks its own


@pytest.mark.parametrize("harm", ["cut short", "other content", "empty", "another Java's"])
def test_one_that_is_broken_costs_only_time(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    folder = tmp_path / "profile"
    folder.mkdir()
    installation: Any = find_installation(os.environ)
    whole = archive.read_bytes()
    content = {
        "cut short": whole[: len(whole) // 3],
        "other content": b"nonsense" * (len(whole) // 8),
        "empty": b"",
        # The header's first bytes tell archives apart; this one is of a JVM that there is not.
        "another Java's": whole[:16] + b"\xff" * 64 + whole[80:],
    }[harm]
    size = len(whole) if harm == "cut short" else len(content)
    (folder / archive_name(installation, size)).write_bytes(content)
    assert (archive_in(folder, installation) is None) == (harm == "cut short")
    for mode in MODES:
        status, classes, said = _start(_options(folder, monkeypatch, mode), tmp_path)
        assert (status, classes) == (0, 0), said
        assert "[warning]" not in said  # as the JVM marks its own


def test_a_configuration_folder_rules_it_out_without_an_error(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.ui.enabled false\n")
    options = _options(PROFILES, monkeypatch, "light")
    status, classes, said = _start(options, tmp_path, SPARK_CONF_DIR=str(tmp_path))
    assert (status, classes) == (0, 0), said


def test_a_collector_of_the_users_starts(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-XX:+UseParallelGC")
    status, classes, said = _start(_options(PROFILES, monkeypatch, "light"), tmp_path)
    assert status == 0, said
    assert classes > 1000
