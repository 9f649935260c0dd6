"""A Spark session with the jars of one format, made once for all tests of a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.runner.providers.contract import Case
from tests.runner.formats.sessions import session_for


@pytest.fixture(scope="session")
def kind() -> str:
    """The format whose tests run in this process."""
    return os.environ["KINDLING_TEST_FORMAT"]


@pytest.fixture(scope="session")
def spark(kind: str) -> Iterator[Any]:
    """A local session with the format's jars, and with what the runner gives a session for it."""
    session = session_for(kind)
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
