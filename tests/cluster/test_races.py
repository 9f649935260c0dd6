"""Two drivers that publish the same tables at once, on each storage: nothing lost or doubled.

A few rounds in ``make cluster``, and 200 in ``make soak`` (``KINDLING_RACE_ROUNDS``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.services import Hadoop, Postgres, S3Server
from tests.cluster.races import Place, race
from tests.runner.formats.sessions import catalog_conf

pytestmark = [pytest.mark.system, pytest.mark.cluster]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database for catalogs."""
    with Postgres(tmp_path_factory.mktemp("postgres") / "data") as database:
        database.create_database("lake")
        yield f"{database.jdbc_url('lake')}?user={database.user}"


def in_catalog(name: str, address: str, warehouse: str, conf: dict[str, str]) -> Place:
    catalog = catalog_conf(name, address, warehouse)
    return Place("iceberg", warehouse, {**conf, **catalog}, {"provider.catalog": name})


@pytest.mark.parametrize("kind", ["parquet", "delta", "iceberg"])
def test_tables_in_folders_of_one_disk(kind: str, tmp_path: Path) -> None:
    assert race(Place(kind, str(tmp_path / "ware house"), {}, {})) == []


def test_tables_of_a_catalog_with_files_on_one_disk(address: str, tmp_path: Path) -> None:
    assert race(in_catalog("disk", address, str(tmp_path / "ware house"), {})) == []


def test_tables_of_a_catalog_with_files_on_s3(address: str, tmp_path: Path) -> None:
    with S3Server(tmp_path) as server:
        server.create_bucket("lake")
        conf = server.spark_settings()
        assert race(in_catalog("s3", address, "s3a://lake/w", conf)) == []


@pytest.mark.parametrize("kind", ["parquet", "delta", "iceberg"])
def test_tables_in_folders_of_hdfs(kind: str, hdfs: Hadoop) -> None:
    assert race(Place(kind, f"{hdfs.url}/{kind}", hdfs.client_settings(), {})) == []


@pytest.fixture(scope="module")
def hdfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hadoop]:
    """A NameNode and a DataNode."""
    with Hadoop(tmp_path_factory.mktemp("hadoop"), yarn=False) as running:
        yield running
