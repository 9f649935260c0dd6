"""A Spark session with the jars of one format, made once for all tests of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.session_settings import settings_for
from tests.runner.jars import format_jars


@pytest.fixture(scope="session")
def kind() -> str:
    """The format whose tests run in this process."""
    return os.environ["KINDLING_TEST_FORMAT"]


@pytest.fixture(scope="session")
def spark(kind: str) -> Iterator[Any]:
    """A local session with the format's jars, and with what the runner gives a session for it."""
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master("local[2]")
        .appName(f"tests of {kind}")
        .config("spark.jars", ",".join(map(str, format_jars(kind))))
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.databricks.delta.snapshotPartitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.log.level", "OFF")
    )
    for key, value in settings_for({kind}, lambda _key: None).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def case(spark: Any, kind: str, tmp_path: Path) -> Case:
    """An entity that does not exist yet."""
    return Case(spark, str(tmp_path / "ware house"), {"provider_type": kind})


@pytest.fixture
def tagged(spark: Any, kind: str, tmp_path: Path) -> Callable[..., Case]:
    """Return a function that makes an entity with further tags, all in one warehouse."""

    def made(**tags: Any) -> Case:
        return Case(spark, str(tmp_path / "ware house"), {"provider_type": kind, **tags})

    return made
