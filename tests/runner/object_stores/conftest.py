"""A real store, and a Spark session that uses it, made once for all tests of a process."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.services import Hadoop, S3Server
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.manifest.harvest import HarvestedModules
from tests.runner.conftest import Project
from tests.runner.object_stores.sessions import session_of


@dataclass(frozen=True)
class Store:
    """A store that runs.

    Attributes:
        root: a URI beneath which tests write.
        settings: Spark's, with which it is found.
    """

    root: str
    settings: Mapping[str, str]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store whose tests run in this process."""
    folder = tmp_path_factory.mktemp("store")
    if os.environ["KINDLING_TEST_STORE"] == "hdfs":
        with Hadoop(folder, yarn=False) as hadoop:
            yield Store(hadoop.url, hadoop.client_settings())
    else:
        with S3Server(folder) as s3:
            s3.create_bucket("lake")
            yield Store("s3a://lake", s3.spark_settings())


@pytest.fixture(scope="session")
def spark(store: Store) -> Iterator[Any]:
    """A local session that uses the store."""
    session = session_of(store.settings)
    yield session
    session.stop()


@pytest.fixture
def lake(store: Store) -> str:
    """A warehouse in the store that no other test has."""
    return f"{store.root}/{uuid.uuid4().hex}"


@pytest.fixture
def s3_project(spark: Any, lake: str) -> Project:
    """An empty project whose warehouse is in the store."""
    declared = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
    return Project(spark, Path(lake), declared)
