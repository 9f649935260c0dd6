"""Delta tables: what was staged is taken over by one transaction of the table's log.

| write mode | transaction | if retried |
|---|---|---|
| overwrite | overwrite, columns included | the same rows again |
| overwrite_interval | overwrite with ``replaceWhere``: the slice | the same rows again |
| append | append | dropped: the log has the run |
| merge | MERGE on ``merge_columns`` | the same rows again |

Each has ``txnAppId``, which names the task instance, and ``txnVersion``, the order of the attempt.
Delta drops a transaction if its log has the same or a greater number for the name, and fails one
that has begun before such a commit: no attempt is published over a later one of its task.

A stream is written by Delta's own sink, each batch with the query and its own number in the place
of ``txnAppId`` and ``txnVersion``.

The jars of Delta must be on the driver's class path when it starts, and the session needs Delta's
extension and catalog (:mod:`kindling_airflow.runner.providers.session_properties`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import TimestampType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
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
from kindling_airflow.runner.providers.session_properties import check_jars, check_settings
from kindling_airflow.runner.providers.stream_writer import stream_writer
from kindling_airflow.runner.providers.tables.logged_table import LoggedTableProvider
from kindling_airflow.runner.schema.differences import quoted

_CONFLICT = re.compile(r"\.(Concurrent\w+|MetadataChanged|ProtocolChanged)Exception$")
_REPARTITIONS = "spark.databricks.delta.merge.repartitionBeforeWrite.enabled"
_APP_ID = "spark.databricks.delta.write.txnAppId"
_VERSION = "spark.databricks.delta.write.txnVersion"
_ONCE = 1  # a run appends once, whatever the order of its attempts


class DeltaProvider(LoggedTableProvider):
    """Reads and writes Delta tables by their folders.

    Raises:
        DeclarationError: the session lacks Delta's jars, its extension or its catalog.
    """

    kind = "delta"
    changed = re.compile(
        r"\[DELTA_SOURCE_(?:TABLE_IGNORE_CHANGES|IGNORE_DELETES?)\].* at version (\d+)", re.DOTALL
    )
    commit_word = "version"
    skip_tags = "the pipe's tag stream.option.skipChangeCommits"
    replaced = re.compile(
        r"\[(?:DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE"
        r"|DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE)\]"
    )

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context)
        check_jars(self._spark, "delta", "io.delta.tables.DeltaTable")
        check_settings(self._spark, "delta", "Delta")

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether the folder has a table's log."""
        jvm: Any = self._spark._jvm
        location = self._context.location_of(entity)
        return bool(jvm.io.delta.tables.DeltaTable.isDeltaTable(self._session, location))

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the newest version."""
        location = self._context.location_of(entity)
        if not self.exists(entity):
            raise EntityError(f"entity {entity.entityid!r}: no Delta table at {location!r}")
        options = self._context.options_of(entity)
        return self._spark.read.format("delta").options(**options).load(location)

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the table's rows, and then those that are added.

        Without a place to begin, that is the newest version as a whole. ``latest`` is what comes
        next; a number is a version, and a time the first version from then on.
        """
        options = {**self._context.options_of(entity), **read.options}
        begin = read.starting_offsets
        if begin == "latest" or (begin is not None and begin.isdecimal()):
            options["startingVersion"] = begin
        elif begin not in (None, "earliest"):
            options["startingTimestamp"] = str(begin)
        location = self._context.location_of(entity)
        return self._spark.readStream.format("delta").options(**options).load(location)

    def start(self, entity: EntityMetadata, frame: DataFrame, write: StreamWrite) -> StreamingQuery:
        """Start the query that adds the rows of a stream, each batch once.

        Raises:
            PipeRunError: its columns are not those of the table.
        """
        self._check_instants(entity, frame)
        frame = self._ready_for_stream(entity, frame)
        writer = stream_writer(frame, write).options(**self._context.options_of(entity))
        if new_columns(entity, self.read(entity).schema, frame.schema):
            writer = writer.option("mergeSchema", "true")
        return writer.format("delta").start(self._context.location_of(entity))

    def _check_instants(self, entity: EntityMetadata, frame: DataFrame) -> None:
        """Refuse instants in names of folders that a stream's sink would write as local times.

        Raises:
            PipeRunError: clocks change in the session's time zone.
        """
        parts = [field for field in frame.schema if field.name in entity.partition_columns]
        found = [repr(field.name) for field in parts if isinstance(field.dataType, TimestampType)]
        zone = str(self._spark.conf.get("spark.sql.session.timeZone"))
        jvm: Any = self._spark._jvm
        rules = jvm.org.apache.spark.sql.catalyst.util.DateTimeUtils.getZoneId(zone).getRules()
        if found and not rules.isFixedOffset():
            raise PipeRunError(
                f"entity {entity.entityid!r}: a stream writes the TIMESTAMP {', '.join(found)}, by "
                f"which the table is partitioned, as a local time of {zone}, where two instants "
                "may be the same\n"
                "  Fix: partition the table by a DATE, or set spark.sql.session.timeZone to UTC."
            )

    def _create(self, entity: EntityMetadata, rows: DataFrame) -> None:
        writer = rows.write.format("delta").options(**self._context.options_of(entity))
        if entity.partition_columns:
            writer = writer.partitionBy(*entity.partition_columns)
        writer.mode("append").save(self._context.location_of(entity))

    def _add_columns(self, entity: EntityMetadata, rows: DataFrame) -> None:
        writer = rows.limit(0).write.format("delta").options(**self._context.options_of(entity))
        writer = writer.option("mergeSchema", "true").mode("append")
        writer.save(self._context.location_of(entity))

    @property
    def _session(self) -> Any:
        return self._spark._jsparkSession

    def _has_appended(self, entity: EntityMetadata, write: Write) -> bool:
        return self._newest(entity, write) is not None

    def _newest(self, entity: EntityMetadata, write: Write) -> int | None:
        """Return the number of the latest attempt of a task instance that the log has."""
        self.read(entity)  # brings what is known of the log up to date
        jvm: Any = self._spark._jvm
        location = self._context.location_of(entity)
        log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(self._session, location)
        found = log.unsafeVolatileSnapshot().transactions().get(_name_of(write))
        return int(found.get()) if found.isDefined() else None

    def _check_newest(self, entity: EntityMetadata, write: Write) -> None:
        if write.order and self.exists(entity):
            newest = self._newest(entity, write)
            if newest is not None and newest > write.order:
                raise EntityError(
                    f"entity {entity.entityid!r}: a later attempt of this task has published it; "
                    "the result of this attempt was dropped\n"
                    "  Fix: none needed: the later attempt's result stands."
                )

    def _write(self, entity: EntityMetadata, rows: DataFrame, write: Write) -> None:
        location = self._context.location_of(entity)
        options = self._context.options_of(entity)
        writer = rows.write.format("delta").options(**options)
        if write.mode == "append" or write.order:
            writer = writer.option("txnAppId", _name_of(write))
            writer = writer.option("txnVersion", str(write.order or _ONCE))
        write.check()
        exists = self.exists(entity)
        if write.replaces_all or not exists:
            if entity.partition_columns:
                writer = writer.partitionBy(*entity.partition_columns)
            if write.replaces_all:
                writer.mode("overwrite").option("overwriteSchema", "true").save(location)
            else:  # of two that make the table at once, one fails, and finds it when it tries again
                writer.mode("append").save(location)
            return
        stored = self.read(entity).schema
        check_columns(entity, stored, rows.schema)
        grows = bool(new_columns(entity, stored, rows.schema))
        if write.mode == "merge":
            self._merge(entity, rows, write, grows)
            return
        if grows:
            writer = writer.option("mergeSchema", "true")
        if write.slice is None:
            writer.mode("append").save(location)
            return
        kind = rows.schema[write.slice.column].dataType.simpleString()
        condition = write.slice.condition(kind)
        writer.mode("overwrite").option("replaceWhere", condition).save(location)

    def _merge(self, entity: EntityMetadata, rows: DataFrame, write: Write, grows: bool) -> None:
        jvm: Any = self._spark._jvm
        # A merge takes its transaction's name from the session: one that no other thread uses.
        session = self._session.cloneSession() if write.order else self._session
        if write.order:
            session.conf().set(_APP_ID, _name_of(write))
            session.conf().set(_VERSION, str(write.order))
        location = self._context.location_of(entity)
        table = jvm.io.delta.tables.DeltaTable.forPath(session, location)
        names = map(quoted, entity.merge_columns)
        condition = " AND ".join(f"target.{name} = source.{name}" for name in names)
        merge = getattr(table, "as")("target").merge(rows.alias("source")._jdf, condition)
        # In place of updateAll() and insertAll(), which take a backquote in a name for a quote.
        values = self._to_java({quoted(n): f"source.{quoted(n)}" for n in rows.columns})
        merge = merge.whenMatched().updateExpr(values).whenNotMatched().insertExpr(values)
        with self._parts_as_they_are(entity, session):
            (merge.withSchemaEvolution() if grows else merge).execute()

    @contextmanager
    def _parts_as_they_are(self, entity: EntityMetadata, session: Any) -> Iterator[None]:
        """Let a merge not sort rows by partitions whose names Delta would not quote for that."""
        if not any("." in name or "`" in name for name in entity.partition_columns):
            yield
            return
        before = self._spark.conf.get(_REPARTITIONS, None)
        session.conf().set(_REPARTITIONS, "false")
        try:
            yield
        finally:
            session.conf().set(_REPARTITIONS, before or "true")

    def _to_java(self, texts: dict[str, str]) -> Any:
        gateway: Any = self._spark.sparkContext._gateway
        made = gateway.jvm.java.util.HashMap()
        for name, text in texts.items():
            made.put(name, text)
        return made

    @staticmethod
    def _is_conflict(error: Exception) -> bool:
        return any(map(_CONFLICT.search, java_names(error)))


def _name_of(write: Write) -> str:
    """Return the name under which the table's log keeps the commits of a task instance."""
    return f"kindling-{write.instance}"
