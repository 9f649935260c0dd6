"""Names of datasets, as OpenLineage's own client gives them."""

from __future__ import annotations

import pytest
from openlineage.client.naming.dataset import ABFSS, GCS, HDFS, S3, Kafka, LocalFileSystem

from kindling_airflow.lineage.datasets import dataset_name
from kindling_airflow.provider_info import get_provider_info


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3a://lake/tables/silver.orders/", S3("lake", "tables/silver.orders")),
        ("s3://lake/tables/o", S3("lake", "tables/o")),
        ("gs://lake/tables/o", GCS("lake", "tables/o")),
        ("hdfs://nn:8020/lake/o", HDFS("nn", "8020", "/lake/o")),
        ("abfs://c@acc.dfs.core.windows.net/o", ABFSS("c", "acc", "/o")),
        ("kafka://broker:9092/clicks", Kafka("broker", "9092", "clicks")),
        ("/lake/o", LocalFileSystem("/lake/o")),
        ("file:///lake/o", LocalFileSystem("/lake/o")),
        ("file:/lake/o", LocalFileSystem("/lake/o")),
    ],
)
def test_a_place_is_named_as_openlineage_names_it(location: str, expected: object) -> None:
    name: tuple[str, str] = (expected.get_namespace(), expected.get_name())  # type: ignore[attr-defined]
    assert dataset_name(location) == name


@pytest.mark.parametrize(
    ("location", "details", "expected"),
    [
        ("lake.db.orders", {"format": "iceberg"}, ("iceberg://lake", "db.orders")),
        ("orders", {"format": "table"}, ("table://orders", "orders")),
        (
            "spark_catalog.db.o",
            {"format": "table", "folder": "s3a://lake/o"},
            ("s3://lake", "o"),
        ),
        ("/lake/o", {"format": "iceberg"}, ("file", "/lake/o")),
        (
            "jdbc:postgresql://db:5432/shop",
            {"format": "jdbc", "table": "public.orders"},
            ("postgres://db:5432", "shop.public.orders"),
        ),
        ("jdbc:derby:memory:shop", {"table": "orders"}, ("derby", "memory:shop.orders")),
        ("hdfs:/lake/o", {}, None),
        ("memory:orders", {}, None),
        ("", {}, None),
        ("hdfs://user:password@nn:8020", {}, ("hdfs://nn:8020", "/")),
        ("kafka://a:9092,b:9092/clicks", {}, ("kafka://a:9092", "clicks")),
        ("/", {}, ("file", "/")),
        ("file:///", {}, ("file", "/")),
        ("s3a://lake", {}, ("s3://lake", "/")),
    ],
)
def test_other_places(
    location: str, details: dict[str, str], expected: tuple[str, str] | None
) -> None:
    assert dataset_name(location, details) == expected


def test_a_converter_is_registered_for_schemes_that_airflows_providers_lack() -> None:
    (entry,) = get_provider_info()["asset-uris"]
    assert "s3a" in entry["schemes"]
    assert not {"s3", "gs", "file"} & set(entry["schemes"])
    for scheme in entry["schemes"]:
        assert dataset_name(f"{scheme}://place/table") is not None
