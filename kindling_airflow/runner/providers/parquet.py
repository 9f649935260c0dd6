"""Parquet tables, written whole: staged beside the table, then published by two renames.

    <root>/silver.orders/                                  the table: plain parquet files
    <root>/_kindling/staging/silver.orders/<key>/          a result that no reader sees yet
    <root>/_kindling/previous/silver.orders/<attempt>/     the table of before, between two renames

    1. write <staging> in full      a driver that dies here leaves the table as it was
    2. table   -> <previous>        from here ...
    3. staging -> table             ... to here, readers of this package read <previous>
    4. delete <previous>

A driver that dies between 2 and 3 loses nothing: readers fall back to ``previous``, and the next
publish puts it back first. Two drivers that publish at once leave one of the two results, whole: a
rename never goes into an existing table, so the slower one fails and is retried. What a rename
cannot give: other tools see no table between 2 and 3, and a reader in mid-scan loses its files at 2
and must try again.

``_kindling.json`` holds the schema, because partition folders do not keep the types of their
columns: ``month=01`` would come back as the integer 1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    Staged,
    Write,
)
from kindling_airflow.runner.providers.storage import literal_path

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

__all__ = ["ParquetProvider"]

_SIDECAR = "_kindling.json"
_SIDECAR_VERSION = 1


class ParquetProvider:
    """Reads and replaces parquet tables."""

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._spark = context.spark
        self._storage = context.storage

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the table's folder, and by what it is partitioned."""
        parts = entity.partition_columns
        details = {"partition_columns": list(parts)} if parts else {}
        return EntityDescription(self._context.location_of(entity), "parquet", details)

    def exists(self, entity: EntityMetadata) -> bool:
        """Tell whether there is a table, if only the one of before."""
        return self._readable(entity) is not None

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the table's rows, in the schema in which they were written."""
        path = self._readable(entity)
        if path is None:
            raise EntityError(
                f"entity {entity.entityid!r}: no table at {self._context.location_of(entity)!r}"
            )
        return self._load(entity, path)

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int:  # noqa: ARG002 (interface)
        """Return the number of rows, which Spark takes from the files' footers."""
        return frame.count()

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Write a result to the staging area and count what is really there."""
        area = self._area(entity, "staging")
        for name in self._storage.names(area):
            if name.startswith(f"{write.instance}-"):
                self._storage.delete(f"{area}/{name}")
        path = f"{area}/{write.instance}-{write.attempt}"
        writer = frame.write.options(**self._context.options_of(entity))
        if entity.partition_columns:
            writer.partitionBy(*entity.partition_columns).parquet(path)
            if not any(not name.startswith(("_", ".")) for name in self._storage.names(path)):
                # Without a row there is no partition, and without a file no schema.
                frame.limit(0).write.mode("overwrite").parquet(path)
        else:
            writer.parquet(path)
        sidecar = {"version": _SIDECAR_VERSION, "schema": frame.schema.jsonValue()}
        self._storage.write_text(f"{path}/{_SIDECAR}", json.dumps(sidecar, sort_keys=True))
        staged = self._load(entity, path)
        return Staged(path, staged.count(), staged)

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> None:
        """Put the staged result in the table's place; see the module for what readers see.

        Raises:
            EntityError: another driver published at the same moment, or the file system refused.
        """
        table = self._context.location_of(entity)
        previous = self._area(entity, "previous")
        # The order matters: a backup in this list whose table is there is nobody's last copy.
        leftovers = [f"{previous}/{name}" for name in self._storage.names(previous)]
        if leftovers and not self._storage.exists(table):
            newest = max(leftovers, key=lambda path: (self._storage.modified(path), path))
            self._storage.move(newest, table)
            leftovers.remove(newest)
        for path in leftovers:
            self._storage.delete(path)
        backup = f"{previous}/{write.attempt}"
        replaces = self._storage.exists(table)
        if replaces:
            self._storage.move(table, backup)
        self._storage.move(staged.path, table)
        if replaces:
            self._storage.delete(backup)

    def _readable(self, entity: EntityMetadata) -> str | None:
        table = self._context.location_of(entity)
        if self._storage.exists(table):
            return table
        previous = self._area(entity, "previous")
        backups = [f"{previous}/{name}" for name in self._storage.names(previous)]
        return max(backups, key=lambda path: (self._storage.modified(path), path), default=None)

    def _area(self, entity: EntityMetadata, kind: str) -> str:
        """Return a hidden folder on the table's own file system, where a rename is a rename."""
        parent, _, name = self._context.location_of(entity).rstrip("/").rpartition("/")
        return f"{parent}/_kindling/{kind}/{name}"

    def _load(self, entity: EntityMetadata, path: str) -> DataFrame:
        reader = self._spark.read.options(**self._context.options_of(entity))
        schema = self._schema(path)
        return (reader.schema(schema) if schema is not None else reader).parquet(literal_path(path))

    def _schema(self, path: str) -> StructType | None:
        from pyspark.sql.types import StructType

        sidecar = f"{path}/{_SIDECAR}"
        if not self._storage.exists(sidecar):
            return None
        document: Any = json.loads(self._storage.read_text(sidecar))
        if document.get("version") != _SIDECAR_VERSION:
            return None
        return StructType.fromJson(document["schema"])
