"""The jars of services, by coordinates and checksums; fetched once into ``build/jars``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kindling_airflow.cli.jars import fetch_jars
from kindling_airflow.deployment.jars import Jar

__all__ = ["DOWNLOADS", "HADOOP", "POSTGRESQL_JDBC", "S3A", "class_path", "fetched"]

DOWNLOADS = Path(__file__).resolve().parents[2] / "build"
"""What was downloaded is kept here, for all runs in this checkout."""

_LISTS = Path(__file__).parent / "jars"


def _listed(name: str) -> tuple[Jar, ...]:
    lines = (_LISTS / f"{name}.txt").read_text().splitlines()
    jars = []
    for line in lines:
        coordinates, digest = line.split()
        group, artifact, version = coordinates.split(":")
        jars.append(Jar(group, artifact, version, digest))
    return tuple(jars)


S3A = _listed("s3a")
"""``hadoop-aws`` and the modules of its SDK that it needs: 16 MB in place of a bundle of 641.

What Spark has (Netty, the HTTP client, logging) is left out, else it would be loaded instead of
Spark's.
"""

HADOOP = _listed("hadoop")
"""The daemons of HDFS and YARN."""

POSTGRESQL_JDBC = Jar(
    "org.postgresql",
    "postgresql",
    "42.7.4",
    "188976721ead8e8627eb6d8389d500dccc0c9bebd885268a3047180274a6031e",
)


def fetched(jars: Sequence[Jar]) -> list[Path]:
    """Return where jars are; fetches those that are missing.

    Raises:
        KindlingAirflowError: one cannot be had, or is not what was listed.
    """
    folder = DOWNLOADS / "jars"
    fetch_jars(jars, folder)
    return [folder / jar.file_name for jar in jars]


def class_path(paths: Sequence[Path]) -> str:
    """Return the value of ``spark.driver.extraClassPath`` for jars."""
    return os.pathsep.join(map(str, paths))
