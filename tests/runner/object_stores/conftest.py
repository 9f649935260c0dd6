"""A Spark session with S3A, and an S3 server, made once for all tests of a process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.manifest.harvest import HarvestedModules
from tests.runner.conftest import Project
from tests.runner.object_stores.sessions import s3a_session
from tests.s3_server import S3Server, s3_server


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    """The server."""
    with s3_server() as running:
        yield running


@pytest.fixture(scope="session")
def spark(server: S3Server) -> Iterator[Any]:
    """A local session that has the server behind ``s3a://``."""
    session = s3a_session(server)
    yield session
    session.stop()


@pytest.fixture
def lake() -> str:
    """A warehouse on the server that no other test has."""
    return f"s3a://lake/{uuid.uuid4().hex}"


@pytest.fixture
def s3_project(spark: Any, lake: str) -> Project:
    """An empty project whose warehouse is on the server."""
    declared = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
    return Project(spark, Path(lake), declared)
