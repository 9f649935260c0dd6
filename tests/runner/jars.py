"""Jars that tests need and no Python package brings: fetched once, checked, kept under build/."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["SQLITE_JDBC", "jar"]

_FOLDER = Path(__file__).resolve().parents[2] / "build" / "jars"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"

SQLITE_JDBC = "org.xerial:sqlite-jdbc:3.50.3.0"
_SHA256 = {
    SQLITE_JDBC: "a3f53a2aa15ae9425a9e793bbe9c8e5288febeb4b65ef5c1a4e80d4c2045cf08",
}


def jar(coordinates: str) -> Path:
    """Return a jar by its Maven coordinates; fails the test that needs it if it cannot be had.

    Fetched by Maven where it is installed, else by the Ivy that comes with Spark.
    """
    artifact, version = coordinates.split(":")[1:]
    found = _FOLDER / f"{artifact}-{version}.jar"
    if not found.is_file():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_FOLDER.parent) as folder:
            fetched = _by_maven if shutil.which("mvn") else _by_ivy
            said = fetched(coordinates, Path(folder))
            jars = sorted(Path(folder).rglob(f"*{artifact}-{version}.jar"))
            assert jars, f"{coordinates} could not be fetched:\n{said}"
            jars[0].replace(found)
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    assert digest == _SHA256[coordinates], f"{found} is not what it should be: sha256 {digest}"
    return found


def _by_maven(coordinates: str, folder: Path) -> str:
    return _output(
        "mvn", "-q", "-B", _COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}"
    )


def _by_ivy(coordinates: str, folder: Path) -> str:
    program = folder / "nothing.py"
    program.write_text("")
    submit = Path(sys.executable).parent / "spark-submit"
    return _output(
        *(str(submit), "--packages", coordinates, "--conf", f"spark.jars.ivy={folder}"),
        str(program),
    )


def _output(*command: str) -> str:
    ran = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
    )
    return ran.stdout[-4000:]
