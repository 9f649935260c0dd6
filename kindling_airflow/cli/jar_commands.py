"""``jars``: puts the jars of the open table formats into a folder, and says how Spark gets them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from kindling_airflow.cli.jar_fetching import fetch_jars
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.deployment.jars import FORMATS, Jar, packages_setting, spark_jars_setting
from kindling_airflow.errors import WrongCallError

__all__ = ["fetch"]


def fetch(called: argparse.Namespace) -> int:
    """Fetch the jars of some formats, check them, and print the settings for a definition."""
    formats = list(dict.fromkeys(called.formats)) or list(FORMATS)
    jars = tuple(jar for name in formats for jar in _jars_of(name, called.spark))
    folder = Path(called.folder).absolute()
    say: Callable[[str], None] = (lambda _: None) if called.json else print
    fetched = fetch_jars(jars, folder, say)
    setting = spark_jars_setting(folder, jars)
    if called.json:
        document = {
            "folder": str(folder),
            "spark": called.spark,
            "formats": formats,
            "jars": [_described(jar, folder, jar in fetched) for jar in jars],
            "conf": {"spark.jars": setting},
            "packages": packages_setting(jars),
        }
        print(json.dumps(document, indent=2))
        return 0
    print(
        f"{len(jars)} jars for {' and '.join(formats)} on Spark {called.spark} in {folder}, ",
        end="",
    )
    print(f"{len(fetched)} of them fetched now; every checksum is right.")
    print("For the definition:\n")
    print(f"spark:\n  conf:\n    spark.jars: {json.dumps(setting)}")
    return 0


def _jars_of(name: str, spark: str) -> tuple[Jar, ...]:
    if name not in FORMATS:
        raise WrongCallError(
            f"no format {name!r}.{did_you_mean(name, FORMATS)} Formats: {', '.join(FORMATS)}"
        )
    by_spark = FORMATS[name]
    if spark not in by_spark:
        raise WrongCallError(
            f"no jars of {name} for Spark {spark!r} are known here, only for {', '.join(by_spark)}"
        )
    return by_spark[spark]


def _described(jar: Jar, folder: Path, fetched: bool) -> dict[str, object]:
    return {
        "coordinates": jar.coordinates,
        "path": str(folder / jar.file_name),
        "sha256": jar.sha256,
        "fetched": fetched,
    }
