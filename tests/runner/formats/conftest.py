"""A Spark session with the jars of one format, made once for all tests of a process.

Tables are on this machine's disk, or beneath ``KINDLING_TEST_ROOT``, which the session reaches with
the properties in ``KINDLING_TEST_CONF``; those of Iceberg are in the catalog whose database is
``KINDLING_TEST_CATALOG``, if there is one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.runner.providers.contract import Case
from tests.runner.formats.sessions import catalog_conf, session_for, store_conf


@pytest.fixture(scope="session")
def kind() -> str:
    """The format whose tests run in this process."""
    return os.environ["KINDLING_TEST_FORMAT"].partition("+")[0]


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A local session with the format's jars, and with what the runner gives a session for it."""
    session = session_for(os.environ["KINDLING_TEST_FORMAT"], store_conf())
    yield session
    session.stop()


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    """A place for tables that no other test has."""
    root = os.environ.get("KINDLING_TEST_ROOT")
    return str(tmp_path / "ware house") if root is None else f"{root}/{uuid.uuid4().hex}"


@pytest.fixture
def stored_in(spark: Any, kind: str, warehouse: str) -> dict[str, Any]:
    """The tags of entities: of tables in folders, or in a catalog that no other test has."""
    address = os.environ.get("KINDLING_TEST_CATALOG")
    if address is None:
        return {"provider_type": kind}
    name = f"c{uuid.uuid4().hex}"
    for key, value in catalog_conf(name, address, f"{warehouse}-catalog").items():
        spark.conf.set(key, value)
    return {"provider_type": kind, "provider.catalog": name}


@pytest.fixture
def case(spark: Any, stored_in: dict[str, Any], warehouse: str) -> Case:
    """An entity that does not exist yet."""
    return Case(spark, warehouse, stored_in)


@pytest.fixture
def tagged(spark: Any, stored_in: dict[str, Any], warehouse: str) -> Callable[..., Case]:
    """Return a function that makes an entity with further tags, all in one warehouse."""

    def made(**tags: Any) -> Case:
        return Case(spark, warehouse, {**stored_in, **tags})

    return made
