"""Places as OpenLineage names them."""

from __future__ import annotations

import pytest

from kindling_airflow.common.lineage_names import dataset_name


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("/data/lake/orders", ("file", "/data/lake/orders")),
        ("/", ("file", "/")),
        ("file:///data/orders/", ("file", "/data/orders")),
        ("s3a://lake/tables/orders", ("s3://lake", "tables/orders")),
        ("s3://lake", ("s3://lake", "")),
        ("gs://lake/orders", ("gs://lake", "orders")),
        ("hdfs://nn:8020/lake/orders", ("hdfs://nn:8020", "/lake/orders")),
        ("hdfs://user:password@nn:8020", ("hdfs://nn:8020", "/")),
        (
            "abfs://lake@store.dfs.core.windows.net/orders",
            ("abfss://lake@store.dfs.core.windows.net", "/orders"),
        ),
        ("kafka://a:9092,b:9092/clicks", ("kafka://a:9092", "clicks")),
        ("hdfs:///lake/orders", None),
        ("memory:orders", None),
        ("lake.silver.orders", None),
        ("", None),
    ],
)
def test_a_place_has_the_name_of_the_specification(
    location: str, name: tuple[str, str] | None
) -> None:
    assert dataset_name(location) == name
