"""Entity providers: one per storage format, chosen by the tag ``provider_type``, default parquet.

A provider reads an entity, and, where it can be written, stages a result and publishes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, did_you_mean
from kindling_airflow.runner.parquet import ParquetProvider
from kindling_airflow.runner.source_files import SourceFilesProvider
from kindling_airflow.runner.staged import Staged
from kindling_airflow.runner.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["EntityProvider", "provider_for"]


class EntityProvider(Protocol):
    """What the runner asks of a storage format."""

    def location(self, entity: EntityMetadata) -> str:
        """Return where the entity lies."""
        ...

    def exists(self, entity: EntityMetadata) -> bool:
        """Tell whether there is something to read."""
        ...

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the entity's rows."""
        ...

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int | None:
        """Return the number of rows where that is cheap, else None."""
        ...

    def stage(
        self, entity: EntityMetadata, frame: DataFrame, instance: str, attempt: str
    ) -> Staged:
        """Write a result where no reader sees it. Leftovers of the same instance are removed."""
        ...

    def publish(self, entity: EntityMetadata, staged: Staged, attempt: str) -> None:
        """Put what was staged in the place of the table, in full or not at all."""
        ...


def provider_for(entity: EntityMetadata, spark: SparkSession, warehouse: str) -> EntityProvider:
    """Return the provider of an entity.

    Raises:
        EntityError: its ``provider_type`` is unknown.
    """
    kind = str(entity.tags.get("provider_type", "parquet"))
    storage = Storage(spark)
    if kind == "parquet":
        return ParquetProvider(spark, storage, warehouse)
    if kind in ("csv", "json"):
        return SourceFilesProvider(kind, spark, storage, warehouse)
    known = ("csv", "json", "parquet")
    raise EntityError(
        f"entity {entity.entityid!r}: unknown provider_type {kind!r}.{did_you_mean(kind, known)}\n"
        f"  Fix: use one of {', '.join(known)}."
    )
