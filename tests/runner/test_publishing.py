"""Publishing: staged in full, then two renames, and nothing lost wherever a driver dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.interface import ProviderContext, Write
from kindling_airflow.runner.providers.parquet.provider import ParquetProvider
from kindling_airflow.runner.providers.storage import Storage

pytestmark = pytest.mark.system

ENTITY = EntityMetadata("silver.orders")


@pytest.fixture
def provider(spark: Any, tmp_path: Path) -> ParquetProvider:
    return ParquetProvider(ProviderContext(spark, str(tmp_path)))


def published(provider: ParquetProvider, spark: Any, count: int, attempt: str) -> None:
    write = Write("i", attempt)
    provider.publish(ENTITY, provider.stage(ENTITY, spark.range(count), write), write)


def leftovers(folder: Path) -> list[str]:
    area = folder / "_kindling"
    return sorted(str(p.relative_to(area)) for p in area.rglob("*") if p.is_file())


def test_what_is_staged_is_not_visible(provider: ParquetProvider, spark: Any) -> None:
    provider.stage(ENTITY, spark.range(3), Write("i", "a"))
    assert not provider.exists(ENTITY)
    with pytest.raises(EntityError, match="no table at"):
        provider.read(ENTITY)


def test_rows_are_counted_in_what_is_on_disk(provider: ParquetProvider, spark: Any) -> None:
    assert provider.stage(ENTITY, spark.range(3), Write("i", "a")).rows == 3


def test_publishing_leaves_nothing_behind(
    provider: ParquetProvider, spark: Any, tmp_path: Path
) -> None:
    published(provider, spark, 3, "a")
    published(provider, spark, 5, "b")
    assert provider.read(ENTITY).count() == 5
    assert leftovers(tmp_path) == []


def test_a_retry_removes_what_its_earlier_attempts_staged_and_nothing_else(
    provider: ParquetProvider, spark: Any, tmp_path: Path
) -> None:
    provider.stage(ENTITY, spark.range(1), Write("mine", "a"))
    provider.stage(ENTITY, spark.range(1), Write("other", "b"))
    provider.stage(ENTITY, spark.range(1), Write("mine", "c"))
    staging = tmp_path / "_kindling" / "staging" / "silver.orders"
    assert sorted(p.name for p in staging.iterdir()) == ["mine-c", "other-b"]


def parquet_on(storage: Storage, spark: Any, folder: Path) -> ParquetProvider:
    """Return a provider whose file operations a test has its hands in."""
    provider = ParquetProvider(ProviderContext(spark, str(folder)))
    provider._storage = storage
    return provider


class DyingStorage(Storage):
    """Does as many moves as it is told to; the next one is where the driver dies."""

    moves_left = 0

    def move(self, source: str, target: str) -> None:
        if self.moves_left == 0:
            raise KeyboardInterrupt
        self.moves_left -= 1
        super().move(source, target)


@pytest.mark.parametrize("moves", [0, 1])
def test_a_driver_that_dies_between_the_renames_loses_nothing(
    spark: Any, tmp_path: Path, moves: int
) -> None:
    provider = ParquetProvider(ProviderContext(spark, str(tmp_path)))
    published(provider, spark, 3, "old")
    storage = DyingStorage(spark)
    storage.moves_left = moves
    dying = parquet_on(storage, spark, tmp_path)
    staged = dying.stage(ENTITY, spark.range(5), Write("i", "new"))
    with pytest.raises(KeyboardInterrupt):
        dying.publish(ENTITY, staged, Write("i", "new"))
    assert (tmp_path / "silver.orders").exists() == (moves == 0)
    assert provider.exists(ENTITY)
    assert provider.read(ENTITY).count() == 3
    published(provider, spark, 7, "next")
    assert provider.read(ENTITY).count() == 7
    assert leftovers(tmp_path) == []


def test_a_driver_that_dies_before_it_cleans_up_leaves_the_new_table(
    provider: ParquetProvider, spark: Any, tmp_path: Path
) -> None:
    published(provider, spark, 3, "a")
    stale = tmp_path / "_kindling" / "previous" / "silver.orders" / "dead"
    stale.mkdir(parents=True)
    (stale / "part-0.parquet").write_bytes(b"an older table")
    assert provider.read(ENTITY).count() == 3
    published(provider, spark, 4, "b")
    assert provider.read(ENTITY).count() == 4
    assert leftovers(tmp_path) == []


class Racing(Storage):
    """Lets another driver publish just before this one's last rename."""

    other: Any = None

    def move(self, source: str, target: str) -> None:
        if self.other is not None and "staging" in source:
            other, self.other = self.other, None
            other()
        super().move(source, target)


def test_of_two_drivers_that_publish_at_once_one_wins_and_the_other_fails(
    spark: Any, tmp_path: Path
) -> None:
    fast = ParquetProvider(ProviderContext(spark, str(tmp_path)))
    published(fast, spark, 3, "old")
    storage = Racing(spark)
    storage.other = lambda: published(fast, spark, 5, "fast")
    slow = parquet_on(storage, spark, tmp_path)
    staged = slow.stage(ENTITY, spark.range(7), Write("slow", "slow"))
    with pytest.raises(EntityError, match="cannot move"):
        slow.publish(ENTITY, staged, Write("slow", "slow"))
    assert fast.read(ENTITY).count() == 5
    published(fast, spark, 9, "next")
    assert fast.read(ENTITY).count() == 9


def test_partition_columns_keep_their_types_and_their_empty_tables(
    provider: ParquetProvider, spark: Any, tmp_path: Path
) -> None:
    entity = EntityMetadata("parts", partition_columns=("code",))
    rows = spark.createDataFrame([("01", 1), ("x", 2)], "code STRING, n INT")
    for frame, attempt in ((rows, "a"), (rows.limit(0), "b")):
        write = Write("i", attempt)
        provider.publish(entity, provider.stage(entity, frame, write), write)
        table = provider.read(entity)
        assert dict(table.dtypes) == {"code": "string", "n": "int"}
        assert sorted(map(tuple, table.select("code", "n").collect())) == sorted(
            map(tuple, frame.collect())
        )
    assert not any((tmp_path / "parts").glob("code=*"))


def test_a_rename_never_goes_into_an_existing_folder(spark: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(EntityError, match="cannot move"):
        Storage(spark).move(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b" / "file").read_text() == "b"
