"""``jars``: fetches the jars of table formats, and prints the Spark setting that uses them.

Jars are fetched by their coordinates, with Maven or else Spark's own resolver. A jar appears in the
folder under its final name only once its checksum is verified.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.deployment.jars import FORMATS, Jar, packages_setting, spark_jars_setting
from kindling_airflow.errors import KindlingAirflowError, WrongCallError

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


def fetch(args: argparse.Namespace) -> int:
    """Fetch the jars of formats, verify them, and print the setting for a definition."""
    formats = list(dict.fromkeys(args.formats)) or list(FORMATS)
    jars = tuple(jar for name in formats for jar in _jars_of(name, args.spark))
    folder = Path(args.folder).absolute()
    say: Callable[[str], None] = (lambda _: None) if args.json else print
    fetched = fetch_jars(jars, folder, say)
    setting = spark_jars_setting(folder, jars)
    if args.json:
        document = {
            "folder": str(folder),
            "spark": args.spark,
            "formats": formats,
            "jars": [
                {
                    "coordinates": jar.coordinates,
                    "path": str(folder / jar.file_name),
                    "sha256": jar.sha256,
                    "fetched": jar in fetched,
                }
                for jar in jars
            ],
            "conf": {"spark.jars": setting},
            "packages": packages_setting(jars),
        }
        print(json.dumps(document, indent=2))
        return 0
    print(
        f"{len(jars)} jars for {' and '.join(formats)} on Spark {args.spark} in {folder}, "
        f"{len(fetched)} of them fetched now; all checksums match.\nFor the definition:\n\n"
        f"spark:\n  conf:\n    spark.jars: {json.dumps(setting)}"
    )
    return 0


def _jars_of(name: str, spark: str) -> tuple[Jar, ...]:
    if name not in FORMATS:
        raise WrongCallError(
            f"unknown format {name!r}.{did_you_mean(name, FORMATS)} Formats: {', '.join(FORMATS)}"
        )
    by_spark = FORMATS[name]
    if spark not in by_spark:
        raise WrongCallError(
            f"no jars of {name} are known for Spark {spark!r}, only for {', '.join(by_spark)}"
        )
    return by_spark[spark]


def fetch_jars(
    jars: Sequence[Jar], folder: Path, say: Callable[[str], None] = lambda _text: None
) -> tuple[Jar, ...]:
    """Fetch the jars that a folder does not have, and return them.

    Args:
        jars: the jars by their full coordinates; dependencies are not resolved.
        folder: the target.
        say: called with a sentence before a long step.

    Raises:
        KindlingAirflowError: a jar cannot be fetched, or its checksum does not match.
    """
    missing = tuple(jar for jar in jars if not is_whole(folder / jar.file_name, jar))
    if not missing:
        return ()
    how, name = (_by_maven, "Maven") if shutil.which("mvn") else (_by_spark, "spark-submit")
    say(f"Fetching {len(missing)} jars with {name} ...")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            output = how(missing, Path(scratch))
            for jar in missing:
                _take(jar, Path(scratch), folder, output)
    except OSError as error:
        raise KindlingAirflowError(f"jars cannot be fetched: {error}") from error
    return missing


def is_whole(path: Path, jar: Jar) -> bool:
    """Return whether a file is this jar."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256


def _take(jar: Jar, scratch: Path, folder: Path, output: str) -> None:
    found = sorted(scratch.rglob(f"*{jar.file_name}"))
    if not found:
        lines = output.strip().splitlines()[-_SHOWN_LINES:]
        raise KindlingAirflowError(
            f"{jar.coordinates} cannot be fetched:\n"
            + "".join(f"    {line}\n" for line in lines)
            + "  Fix: configure a repository that has it for Maven (settings.xml) or spark-submit "
            f"(spark.jars.ivySettings), or copy {jar.file_name!r} to {str(folder)!r}."
        )
    if not is_whole(found[0], jar):
        digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
        raise KindlingAirflowError(
            f"{jar.coordinates}: checksum mismatch: the SHA-256 is {digest}, not {jar.sha256}\n"
            "  Fix: check the repository and the proxies in between; the file was deleted."
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
    """Fetch the jars with the resolver of spark-submit, for an empty program."""
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
    """Run a command and return its output; its status is not checked, the jars are."""
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
        return f"{command[0]} did not end within {_TIMEOUT_SECONDS} s"
    return ran.stdout
