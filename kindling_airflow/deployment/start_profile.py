"""A start-up profile for Spark drivers: which archive fits here, and the options of the JVM.

Half of a small pipe's time is the JVM loading and compiling classes. A class-data archive (AppCDS,
JEP 350) brings them ready-made. It belongs to one Java and one Spark, so its name is made of both;
finding it reads a file and a folder, and starts nothing. ``airflow kindling warm`` makes it
(:mod:`kindling_airflow.cli.warming`), tasks in local and client mode use it
(:mod:`kindling_airflow.operators.driver.hook`).

An archive that is missing or does not fit is passed over by the JVM, one that is not whole by
:func:`archive_in`: a profile is never an error. One thing rules an archive out: files in Spark's
configuration folder (``SPARK_CONF_DIR``), because Spark puts that folder first on the class path.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = [
    "MODE_PROPERTY",
    "Installation",
    "ProfileMode",
    "archive_in",
    "archive_name",
    "driver_options",
    "find_installation",
]

MODE_PROPERTY = "spark.kindling.startProfile"
"""The Spark property that chooses the profile's mode for a definition or a pipe."""

_COLLECTOR = re.compile(r"-XX:[+-]Use\w*GC\b")
_COMPILER = re.compile(r"-Xint|-Xcomp|TieredStopAtLevel|TieredCompilation|-Xmixed")
_ARCHIVE = re.compile(r"SharedArchiveFile|ArchiveClassesAtExit|-Xshare|SharedClassListFile")


class ProfileMode(str, Enum):
    """What a driver starts with.

    Attributes:
        ARCHIVE: the archive alone, if there is one: classes load faster, nothing else changes.
        LIGHT: also the serial collector and the first compiler alone, which suits drivers that end
            within a few minutes and costs something in those that compute for longer.
        OFF: nothing.
    """

    ARCHIVE = "archive"
    LIGHT = "light"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Installation:
    """The Java and the Spark that a driver starts on.

    Attributes:
        java_home: Java's folder.
        spark_home: Spark's folder, the one with ``jars`` in it.
        key: names both by their content; another release of either has another one.
    """

    java_home: Path
    spark_home: Path
    key: str


def find_installation(
    environment: Mapping[str, str], spark_binary: str = "spark-submit"
) -> Installation | None:
    """Return what ``spark-submit`` would start on, or None where that is unknown.

    It looks where Spark's own scripts look: ``JAVA_HOME``, ``SPARK_HOME``, the ``PATH``; and beside
    this Python.
    """
    java, spark = _java_home(environment), _spark_home(environment, spark_binary)
    if java is None or spark is None:
        return None
    digest = hashlib.sha256()
    try:
        for part in (str(java), (java / "release").read_text("utf-8", "replace"), str(spark)):
            digest.update(part.encode() + b"\0")
        with os.scandir(spark / "jars") as jars:
            for name, size in sorted((jar.name, jar.stat().st_size) for jar in jars):
                digest.update(f"{name} {size}\0".encode())
    except OSError:
        return None
    return Installation(java, spark, digest.hexdigest()[:16])


def archive_name(installation: Installation, size: int) -> str:
    """Return the name of an installation's archive of so many bytes."""
    return f"spark-{installation.key}-{size}.jsa"


def archive_in(folder: Path, installation: Installation) -> Path | None:
    """Return an installation's archive, or None without a complete one.

    Its name says its size, because a JVM that maps half of an archive dies of it: of a copy that
    was cut short nothing is used.
    """
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry.stat().st_size for entry in entries}
    except OSError:
        return None
    whole = sorted(n for n, size in found.items() if n == archive_name(installation, size))
    return folder / whole[-1] if whole else None


def driver_options(mode: ProfileMode, archive: Path | None, given: str = "") -> str:
    """Return the options of a driver's JVM, as ``SPARK_SUBMIT_OPTS`` takes them.

    Options that are given already are kept: a JVM with two collectors does not start.

    Args:
        mode: which profile.
        archive: the archive, if there is one.
        given: every option that the driver gets from elsewhere, as one text.

    >>> driver_options(ProfileMode.LIGHT, None, "-XX:+UseG1GC")
    '-XX:TieredStopAtLevel=1'
    >>> driver_options(ProfileMode.OFF, Path("spark.jsa"))
    ''
    """
    options = []
    if mode is ProfileMode.LIGHT:
        if not _COLLECTOR.search(given):
            options.append("-XX:+UseSerialGC")
        if not _COMPILER.search(given):
            options.append("-XX:TieredStopAtLevel=1")
    if mode is not ProfileMode.OFF and archive is not None and not _ARCHIVE.search(given):
        # One that does not fit is passed over in silence, not with a line in every task's log.
        options += [_quoted(f"-XX:SharedArchiveFile={archive}"), "-Xshare:auto"]
        options += ["-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
    return " ".join(options)


def _quoted(option: str) -> str:
    """Return an option as Spark's launcher splits it: at spaces outside of double quotes."""
    plain = re.fullmatch(r"[^\s\"'\\]+", option)
    return option if plain else '"' + re.sub(r'(["\\])', r"\\\1", option) + '"'


def _java_home(environment: Mapping[str, str]) -> Path | None:
    if environment.get("JAVA_HOME"):
        return Path(environment["JAVA_HOME"]).resolve()
    java = shutil.which("java", path=environment.get("PATH", os.defpath))
    return None if java is None else Path(java).resolve().parent.parent


def _spark_home(environment: Mapping[str, str], spark_binary: str) -> Path | None:
    if environment.get("SPARK_HOME"):
        return Path(environment["SPARK_HOME"]).resolve()
    beside = str(Path(sys.executable).parent)
    path = os.pathsep.join((environment.get("PATH", os.defpath), beside))
    program = shutil.which(spark_binary, path=path)
    if program is None:
        return None
    folder = Path(program).parent
    # An installed pyspark has its programs in the environment's folder, and names its folder.
    homes = [folder.parent] if not (folder / "find_spark_home.py").is_file() else []
    homes += sorted(folder.parent.glob("lib*/python3*/*-packages/pyspark"))
    return next((home.resolve() for home in homes if (home / "jars").is_dir()), None)
