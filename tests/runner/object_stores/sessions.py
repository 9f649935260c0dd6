"""A Spark session that has a store behind it, as its settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["session_of"]

_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Djdk.lang.Process.launchMechanism=VFORK"


def session_of(settings: Mapping[str, str]) -> Any:
    """Return a small local session; the process must not have had one before."""
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master("local[2]")
        .appName("tests of stores")
        .config("spark.driver.extraJavaOptions", _JAVA)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.log.level", "OFF")
    )
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
