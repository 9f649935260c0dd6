"""Two drivers that publish the same tables at once, on each storage: nothing lost or doubled.

A few rounds in ``make cluster``, and 200 in ``make soak`` (``KINDLING_RACE_ROUNDS``).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.services import Hadoop, S3Server
from kindling_airflow.tags.names import GRACE_TAG
from tests.cluster.log_stores import delta_on_s3
from tests.cluster.races import Place, race
from tests.runner.formats.sessions import catalog_conf

pytestmark = [pytest.mark.system, pytest.mark.cluster]


def in_catalog(name: str, address: str, warehouse: str, conf: dict[str, str]) -> Place:
    catalog = catalog_conf(name, address, warehouse)
    return Place("iceberg", warehouse, {**conf, **catalog}, {"provider.catalog": name})


@pytest.mark.parametrize("kind", ["parquet", "delta", "iceberg"])
def test_tables_in_folders_of_one_disk(kind: str, tmp_path: Path) -> None:
    assert race(Place(kind, str(tmp_path / "ware house"), {}, {})).problems == ()


def test_tables_of_a_catalog_with_files_on_one_disk(address: str, tmp_path: Path) -> None:
    place = in_catalog("disk", address, str(tmp_path / "ware house"), {})
    assert race(place).problems == ()


def test_tables_of_a_catalog_with_files_on_s3(address: str, s3: S3Server) -> None:
    s3.create_bucket("catalog")  # the server reads all names of a bucket to list a folder
    place = in_catalog("s3", address, "s3a://catalog/lake", s3.spark_settings())
    assert race(place).problems == ()


def test_parquet_tables_on_s3(s3: S3Server) -> None:
    s3.create_bucket("parquet")
    tags = {GRACE_TAG: "30s"}  # what is out of use is deleted during the race
    assert race(Place("parquet", "s3a://parquet/lake", s3.spark_settings(), tags)).problems == ()


def test_delta_tables_on_s3_with_a_safe_log_store(s3: S3Server, tmp_path: Path) -> None:
    s3.create_bucket("delta")
    conf = {**s3.spark_settings(), **delta_on_s3(tmp_path)}
    assert race(Place("delta", "s3a://delta/lake", conf, {})).problems == ()


@pytest.mark.parametrize("kind", ["parquet", "delta", "iceberg"])
def test_tables_in_folders_of_hdfs(kind: str, hdfs: Hadoop) -> None:
    place = Place(kind, f"{hdfs.url}/{kind}", hdfs.client_settings(), {})
    assert race(place).problems == ()


def test_tables_of_a_catalog_with_files_on_hdfs(address: str, hdfs: Hadoop) -> None:
    place = in_catalog("hdfs", address, f"{hdfs.url}/catalog", hdfs.client_settings())
    assert race(place).problems == ()
