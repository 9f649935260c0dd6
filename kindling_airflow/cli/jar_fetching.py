"""Fetches jars by their coordinates, whole and checked: by Maven, else by Spark's own resolver.

A jar appears in the folder under its final name only once its checksum is right. What lies there
already and is right is not fetched again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from kindling_airflow.deployment.jars import Jar
from kindling_airflow.errors import KindlingAirflowError

__all__ = ["fetch_jars", "is_whole"]

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
_TIMEOUT_SECONDS = 600
_SHOWN_LINES = 15

_POM = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>kindling</groupId><artifactId>jars</artifactId><version>1</version>
  <packaging>pom</packaging>
  <build><plugins><plugin>
    <groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
    <configuration>
      <outputDirectory>{folder}</outputDirectory>
      <artifactItems>{items}</artifactItems>
    </configuration>
  </plugin></plugins></build>
</project>
"""
_ITEM = (
    "<artifactItem><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
    "<version>{version}</version></artifactItem>"
)


def fetch_jars(
    jars: Sequence[Jar], folder: Path, say: Callable[[str], None] = lambda _text: None
) -> tuple[Jar, ...]:
    """Put jars into a folder; return those that were not there yet.

    Args:
        jars: the jars, each of which is named by its whole coordinates; nothing is resolved.
        folder: where they are to be.
        say: called with a sentence when something takes long.

    Raises:
        KindlingAirflowError: one cannot be had, or is not what it should be.
    """
    missing = tuple(jar for jar in jars if not is_whole(folder / jar.file_name, jar))
    if not missing:
        return ()
    how, name = (_by_maven, "Maven") if shutil.which("mvn") else (_by_spark, "spark-submit")
    say(f"Fetching {len(missing)} jars with {name} ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            said = how(missing, Path(scratch))
            for jar in missing:
                _take(jar, Path(scratch), folder, said)
    except OSError as error:
        raise KindlingAirflowError(f"the jars cannot be fetched: {error}") from error
    return missing


def is_whole(path: Path, jar: Jar) -> bool:
    """Tell whether a file is this jar."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


def _take(jar: Jar, scratch: Path, folder: Path, said: str) -> None:
    found = sorted(scratch.rglob(f"*{jar.file_name}"))
    if not found:
        lines = said.strip().splitlines()[-_SHOWN_LINES:]
        raise KindlingAirflowError(
            f"{jar.coordinates} cannot be fetched:\n"
            + "".join(f"    {line}\n" for line in lines)
            + "  Fix: give Maven (settings.xml) or spark-submit (spark.jars.ivySettings) a "
            f"repository that has it, or put {jar.file_name!r} into {str(folder)!r} yourself."
        )
    if not is_whole(found[0], jar):
        digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
        raise KindlingAirflowError(
            f"{jar.coordinates} is not what it should be: its SHA-256 is {digest}, not "
            f"{jar.sha256}\n"
            "  Fix: find out what stands between you and the repository; nothing was kept."
        )
    found[0].replace(folder / jar.file_name)


def _by_maven(jars: Sequence[Jar], scratch: Path) -> str:
    group, artifact, version = _PLUGIN.split(":")
    items = "".join(
        _ITEM.format(group=jar.group, artifact=jar.artifact, version=jar.version) for jar in jars
    )
    pom = scratch / "pom.xml"
    pom.write_text(
        _POM.format(
            group=group,
            artifact=artifact,
            version=version,
            folder=escape(str(scratch)),
            items=items,
        ),
        encoding="utf-8",
    )
    return _output("mvn", "-q", "-B", "-f", str(pom), f"{_PLUGIN}:copy")


def _by_spark(jars: Sequence[Jar], scratch: Path) -> str:
    """Let the resolver of spark-submit fetch the jars, and no others, for a program of no lines."""
    program = scratch / "nothing.py"
    program.write_text("")
    beside = Path(sys.executable).parent / "spark-submit"
    return _output(
        *(str(beside) if beside.is_file() else "spark-submit", "--master", "local[1]"),
        *("--packages", ",".join(jar.coordinates for jar in jars)),
        *("--conf", f"spark.jars.ivy={scratch}", "--conf", "spark.ui.enabled=false"),
        str(program),
    )


def _output(*command: str) -> str:
    """Run a command and return what it said; whether it did its work is seen by the jars."""
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        )
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end in {_TIMEOUT_SECONDS} s"
    return ran.stdout
