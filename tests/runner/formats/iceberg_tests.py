"""What is Iceberg's own: catalogs, snapshots, and types that it does not have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.providers.contract import Case
from tests.runner.formats.format_tests import day, day_run, flights, publish, stored, write_of


def snapshots(case: Case) -> list[tuple[str, str]]:
    """Return operation and run of each snapshot, oldest first."""
    entity = case.entity()
    provider: Any = case.provider(entity)
    rows = case.spark.sql(
        f"SELECT operation, summary['kindling.run'] AS run FROM {provider._name(entity)}.snapshots "
        "ORDER BY committed_at"
    ).collect()
    return [(row["operation"], row["run"]) for row in rows]


def test_each_publish_is_one_snapshot_and_a_second_append_is_none(case: Case) -> None:
    entity = case.entity()
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "overwrite"))
    for attempt in ("a", "retry"):
        publish(case, entity, flights(case, [(2, day(2), 2)]), write_of(2, "append", attempt))
    publish(case, entity, flights(case, [(3, day(3), 3)]), write_of(3, "overwrite"))
    assert snapshots(case) == [
        ("append", "0000000000000001"),
        ("append", "0000000000000002"),
        ("overwrite", "0000000000000003"),
    ]


def test_a_slice_leaves_the_files_of_other_slices_alone(case: Case) -> None:
    entity = case.entity(partition_columns=("day",))
    for n in (1, 2):
        day_run(case, entity, n, [(n, day(n), n)])
    data = Path(case.warehouse) / case.entity_id / "data"
    before = {path: path.read_bytes() for path in data.glob("day=2013-01-01/*.parquet")}
    day_run(case, entity, 2, [(2, day(2), 9)], "rerun")
    after = {path: path.read_bytes() for path in data.glob("day=2013-01-01/*.parquet")}
    assert before
    assert before == after


def test_a_table_of_a_catalog_is_written_by_its_name(
    tagged: Callable[..., Case], tmp_path: Path
) -> None:
    case = tagged(**{"provider.table": "lake.shop.orders"})
    entity = case.entity()
    with pytest.raises(DeclarationError) as raised:
        case.provider(entity).exists(entity)
    assert str(raised.value) == (
        "entity 'contract_orders': the Spark session has no catalog 'lake'\n"
        "  Fix: add to the definition, with the values of your catalog\n"
        "    spark:\n"
        "      conf:\n"
        "        spark.sql.catalog.lake: org.apache.iceberg.spark.SparkCatalog\n"
        "        spark.sql.catalog.lake.type: rest\n"
        "        spark.sql.catalog.lake.uri: https://..."
    )
    case.spark.conf.set("spark.sql.catalog.lake", "org.apache.iceberg.spark.SparkCatalog")
    case.spark.conf.set("spark.sql.catalog.lake.type", "hadoop")
    case.spark.conf.set("spark.sql.catalog.lake.warehouse", str(tmp_path / "lake"))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "append"))
    publish(case, entity, flights(case, [(1, day(1), 1)]), write_of(1, "append", "retry"))
    assert case.spark.table("lake.shop.orders").count() == 1
    assert case.provider(entity).describe(entity).location == "lake.shop.orders"


def test_types_that_it_does_not_have_are_those_it_keeps_from_the_start(case: Case) -> None:
    entity = case.entity()
    for n in (1, 2):
        rows = case.spark.sql(f"SELECT CAST({n} AS SMALLINT) AS id, CAST({n} AS TINYINT) AS n")
        publish(case, entity, rows, write_of(n, "append"))
    assert case.provider(entity).read(entity).dtypes == [("id", "int"), ("n", "int")]
    assert stored(case, entity) == [(1, 1), (2, 2)]


def test_a_table_that_is_not_there_is_an_error(case: Case) -> None:
    entity = case.entity()
    with pytest.raises(EntityError) as raised:
        case.provider(entity).read(entity)
    assert str(raised.value) == (
        f"entity 'contract_orders': no Iceberg table at '{case.warehouse}/contract_orders'"
    )
