"""Iceberg tables: what was staged is taken over by one commit of the table's catalog.

| write mode | commit | if retried |
|---|---|---|
| overwrite | overwrite of all rows; a new table if columns change | the same rows again |
| overwrite_interval | overwrite of the slice: whole files, else by MERGE | the same rows again |
| append | append, with the run's name in the snapshot's summary | not done: the name is looked up |
| merge | MERGE on ``merge_columns`` | the same rows again |

A stream is written by Iceberg's own sink, each batch by one append that names the query and the
batch's number, and is looked up before it is retried.

An entity with ``provider.table`` is a table of a catalog that the session is configured with.
Without it, the table is a folder of the warehouse, in a catalog of type ``hadoop`` that is made
here: it needs a file system whose renames do not replace files, and no object store.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timezone
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import StructType

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.interface import (
    ProviderContext,
    StreamRead,
    StreamWrite,
    Write,
)
from kindling_airflow.runner.providers.publishing.staging import (
    check_columns,
    java_names,
    new_columns,
)
from kindling_airflow.runner.providers.session_properties import check_jars
from kindling_airflow.runner.providers.stream_writer import stream_writer
from kindling_airflow.runner.providers.tables.logged_table import LoggedTableProvider
from kindling_airflow.runner.schema.differences import quoted, sql_type
from kindling_airflow.tags.names import TABLE_TAG
from kindling_airflow.tags.paths import table_name_of

_CATALOG_CLASS = "org.apache.iceberg.spark.SparkCatalog"
_RUN = "kindling.run"
_ICEBERG = "org.apache.iceberg.exceptions."
_CONFLICTS = frozenset(
    (
        f"{_ICEBERG}AlreadyExistsException",
        f"{_ICEBERG}CommitFailedException",
        f"{_ICEBERG}CommitStateUnknownException",
        f"{_ICEBERG}ValidationException",
        "org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException",
    )
)
_HALF_A_FILE = "Cannot delete file where some, but not all, rows match filter"


class IcebergProvider(LoggedTableProvider):
    """Reads and writes Iceberg tables by their names in a catalog.

    Raises:
        DeclarationError: the session lacks Iceberg's jar.
    """

    kind = "iceberg"
    changed = re.compile(r"Cannot process (?:overwrite|delete) snapshot: (\d+)")
    commit_word = "snapshot"
    skip_tags = (
        "the pipe's tags stream.option.streaming-skip-overwrite-snapshots and "
        "stream.option.streaming-skip-delete-snapshots"
    )
    replaced = re.compile(
        r"not an ancestor of table's current snapshot|Cannot load current offset at snapshot"
    )

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context)
        check_jars(self._spark, "iceberg", _CATALOG_CLASS)

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether the catalog has the table."""
        return self._spark.catalog.tableExists(self._name(entity))

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the newest snapshot."""
        name = self._name(entity)
        if not self._spark.catalog.tableExists(name):
            where = self.describe(entity).location
            raise EntityError(f"entity {entity.entityid!r}: no Iceberg table at {where!r}")
        self._spark.catalog.refreshTable(name)  # for catalogs that keep what they have read
        return self._spark.read.options(**self._context.options_of(entity)).table(name)

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the rows of the table's snapshots, oldest first, and then those that are added.

        A time to begin is that of the first snapshot that counts.
        """
        options = {**self._context.options_of(entity), **read.options}
        if read.starting_offsets is not None:
            begin = iso_datetime(read.starting_offsets)
            begin = begin if begin.tzinfo else begin.replace(tzinfo=timezone.utc)
            options["stream-from-timestamp"] = str(int(begin.timestamp() * 1000))
        return self._spark.readStream.options(**options).table(self._name(entity))

    def start(self, entity: EntityMetadata, frame: DataFrame, write: StreamWrite) -> StreamingQuery:
        """Start the query that adds the rows of a stream, each batch once, as one snapshot.

        Raises:
            PipeRunError: its columns are not those of the table.
        """
        frame = self._ready_for_stream(entity, frame)
        self._add_columns(entity, frame)
        frame = frame.select(*map(quoted, self.read(entity).columns))
        options = {"fanout-enabled": "true", **self._context.options_of(entity)}
        return stream_writer(frame, write).options(**options).toTable(self._name(entity))

    def _create(self, entity: EntityMetadata, rows: DataFrame) -> None:
        """Create the table without a snapshot: a stream takes one that adds nothing for an end."""
        columns = self._as_stored(rows)._jdf.schema().toDDL()
        parts = ", ".join(map(quoted, entity.partition_columns))
        self._spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self._name(entity)} ({columns}) USING iceberg"
            + (f" PARTITIONED BY ({parts})" if parts else "")
        )

    def _write(self, entity: EntityMetadata, rows: DataFrame, write: Write) -> None:
        name, parts = self._name(entity), entity.partition_columns
        writer = rows.writeTo(name).using("iceberg").options(**self._context.options_of(entity))
        writer = writer.option(f"snapshot-property.{_RUN}", write.instance)
        partitioned = writer
        if parts:
            partitioned = writer.partitionedBy(*map(_partition, parts))
        if not self.exists(entity):
            partitioned.create()
            return
        stored = self.read(entity).schema
        if write.replaces_all:
            same = stored.simpleString() == rows.schema.simpleString()
            if same and (not parts or self._partitions(name) == parts):
                writer.overwrite(F.lit(True))
            else:
                partitioned.createOrReplace()
            return
        check_columns(entity, stored, rows.schema)
        self._add_columns(entity, rows)
        if write.mode == "merge":
            names = map(quoted, entity.merge_columns)
            condition = " AND ".join(f"target.{key} = source.{key}" for key in names)
            self._merge(name, rows, write, condition, matched="WHEN MATCHED THEN UPDATE SET *")
        elif write.slice is None:
            writer.append()
        else:
            kind = rows.schema[write.slice.column].dataType.simpleString()
            self._replace(name, rows, writer, write, write.slice.condition(kind))

    def _replace(
        self, name: str, rows: DataFrame, writer: Any, write: Write, condition: str
    ) -> None:
        """Replace the rows of a slice: whole files, or else the rows of those that are mixed."""
        try:
            writer.overwrite(F.expr(condition))
        except Exception as error:  # py4j and Spark wrap it
            if not any(_HALF_A_FILE in str(java.getMessage()) for java in java_causes(error)):
                raise
            gone = f"WHEN NOT MATCHED BY SOURCE AND {condition} THEN DELETE"
            self._merge(name, rows, write, "false", unmatched=gone)

    def _merge(
        self,
        name: str,
        rows: DataFrame,
        write: Write,
        condition: str,
        *,
        matched: str = "",
        unmatched: str = "",
    ) -> None:
        view = f"kindling_staged_{write.attempt}"
        rows.createOrReplaceTempView(quoted(view))
        try:
            self._spark.sql(
                f"MERGE INTO {name} AS target USING {quoted(view)} AS source ON {condition} "
                f"{matched} WHEN NOT MATCHED THEN INSERT * {unmatched}"
            )
        finally:
            self._spark.catalog.dropTempView(quoted(view))

    def _add_columns(self, entity: EntityMetadata, rows: DataFrame) -> None:
        added = [
            f"{quoted(column)} {sql_type(rows.schema[column].dataType)}"
            for column in new_columns(entity, self.read(entity).schema, rows.schema)
        ]
        if added:
            name = self._name(entity)
            self._spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({', '.join(added)})")

    def _has_appended(self, entity: EntityMetadata, write: Write) -> bool:
        """Return whether the table's history, as far as it is kept, has an append of a run."""
        table = self._table(self._name(entity))
        snapshot = table.currentSnapshot()
        while snapshot is not None:
            if snapshot.summary().get(_RUN) == write.instance:
                return True
            parent = snapshot.parentId()
            snapshot = None if parent is None else table.snapshot(parent)
        return False

    def _partitions(self, name: str) -> tuple[str, ...]:
        """Return the columns by whose values a table is partitioned."""
        fields = self._table(name).spec().fields()
        return tuple(
            str(field.name()) if field.transform().isIdentity() else str(field) for field in fields
        )

    def _table(self, name: str) -> Any:
        jvm: Any = self._spark._jvm
        session = self._spark._jsparkSession
        return jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(session, name)

    def _as_stored(self, frame: DataFrame) -> DataFrame:
        """Return rows in the types that Iceberg has: a SMALLINT becomes an INT, for example."""
        jvm: Any = self._spark._jvm
        utilities = jvm.org.apache.iceberg.spark.SparkSchemaUtil
        kept = utilities.convert(utilities.convert(frame._jdf.schema()))
        schema = StructType.fromJson(json.loads(kept.json()))
        return frame if schema.simpleString() == frame.schema.simpleString() else frame.to(schema)

    def _name(self, entity: EntityMetadata) -> str:
        """Return the table's name as SQL takes it; its catalog is there."""
        if TABLE_TAG in entity.tags:
            parts = table_name_of(entity)
            self._check_catalog(entity, parts[0])
            return ".".join(map(quoted, parts))
        folder, _, name = self._context.location_of(entity).rstrip("/").rpartition("/")
        catalog = f"kindling_{hashlib.sha256(folder.encode()).hexdigest()[:12]}"
        key = f"spark.sql.catalog.{catalog}"
        if self._spark.conf.get(key, None) is None:
            self._spark.conf.set(f"{key}.type", "hadoop")
            self._spark.conf.set(f"{key}.warehouse", folder or "/")
            self._spark.conf.set(f"{key}.cache-enabled", "false")
            self._spark.conf.set(key, _CATALOG_CLASS)
        return f"{catalog}.{quoted(name)}"

    def _check_catalog(self, entity: EntityMetadata, catalog: str) -> None:
        if self._spark.conf.get(f"spark.sql.catalog.{catalog}", None) is None:
            key = f"spark.sql.catalog.{catalog}"
            problem = (
                f"entity {entity.entityid!r}: the Spark session has no catalog {catalog!r}\n"
                "  Fix: add to the definition, with the values of your catalog\n"
                f"    spark:\n      conf:\n        {key}: {_CATALOG_CLASS}\n"
                f"        {key}.type: rest\n        {key}.uri: https://..."
            )
            raise DeclarationError([problem])

    @staticmethod
    def _is_conflict(error: Exception) -> bool:
        return not _CONFLICTS.isdisjoint(java_names(error))


def _partition(name: str) -> Column:
    """Return a column as ``partitionedBy`` takes it.

    Spark makes a text of the column's name and parses that once more: it quotes what has a dot in
    it, without care for backquotes, and nothing else.
    """
    return F.col(quoted(name.replace("`", "``") if "." in name else quoted(name)))
