"""Iceberg tables: what was staged is taken over by one commit of the table's catalog.

| write mode | commit | stands on | if retried |
|---|---|---|---|
| overwrite | overwrite of all rows | the snapshot looked at | the same rows again |
| the same, other columns | a new table | the metadata¹ | the same rows again |
| overwrite_interval | overwrite of the slice, by whole files | the slice | the same rows again |
| the same, mixed files | MERGE on a branch, as below | the snapshot | the same rows again |
| append | append on a branch, taken over | no append of the same run | not done |
| merge | MERGE on a branch, which becomes the table | the snapshot | the same rows again |

¹ In catalogs that keep a pointer to it: see
:mod:`kindling_airflow.runner.providers.tables.iceberg_replace`. In others on nothing.

A commit looks at the table, asks whether its attempt is still wanted, and then fails by a conflict
if what it stands on has changed: so a driver that was held up between question and commit does not
undo or repeat what a later attempt has committed. The snapshot names the run (``kindling.run``; an
append also as ``wap.id``, which Iceberg lets in once).

A stream is written by Iceberg's own sink, each batch by one append that names the query and the
batch's number, and is looked up before it is retried.

An entity with ``provider.catalog`` or ``provider.table`` is a table of a catalog that the session
is configured with (:mod:`kindling_airflow.runner.providers.tables.catalogs`).
Without them, the table is a folder of the warehouse, in a catalog of type ``hadoop`` that is made
here: it needs a file system whose renames do not replace files, and no object store.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from kindling_airflow.runner.providers.session_properties import check_jars, check_settings
from kindling_airflow.runner.providers.stream_writer import stream_writer
from kindling_airflow.runner.providers.tables.catalogs import CATALOG_CLASS
from kindling_airflow.runner.providers.tables.iceberg_replace import can_replace, replace_table
from kindling_airflow.runner.providers.tables.logged_table import LoggedTableProvider
from kindling_airflow.runner.schema.differences import quoted, sql_type
from kindling_airflow.tags.names import CATALOG_TAG
from kindling_airflow.tags.paths import is_named, table_name_of

_RUN = "kindling.run"
_ICEBERG = "org.apache.iceberg.exceptions."
_CONFLICTS = frozenset(
    (
        f"{_ICEBERG}AlreadyExistsException",
        f"{_ICEBERG}CommitFailedException",
        f"{_ICEBERG}CommitStateUnknownException",
        f"{_ICEBERG}DuplicateWAPCommitException",
        f"{_ICEBERG}ValidationException",
        "org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException",
    )
)
_INTEGRITY, _SERIALIZATION = "23", "40"  # classes of SQLSTATE
_PUBLISHED, _STAGED = "published-wap-id", "wap.id"
_HALF_A_FILE = "Cannot delete file where some, but not all, rows match filter"


class IcebergProvider(LoggedTableProvider):
    """Reads and writes Iceberg tables by their names in a catalog.

    Raises:
        DeclarationError: the session lacks Iceberg's jar or its extension.
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
        check_jars(self._spark, "iceberg", CATALOG_CLASS)
        check_settings(self._spark, "iceberg", "Iceberg")

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
        self._make_namespace(entity)
        columns = self._as_stored(rows)._jdf.schema().toDDL()
        parts = ", ".join(map(quoted, entity.partition_columns))
        self._spark.sql(
            f"CREATE TABLE IF NOT EXISTS {self._name(entity)} ({columns}) USING iceberg"
            + (f" PARTITIONED BY ({parts})" if parts else "")
        )

    def _write(self, entity: EntityMetadata, rows: DataFrame, write: Write) -> None:
        name, parts = self._name(entity), entity.partition_columns
        writer = self._writer(entity, rows, write, name)
        if not self.exists(entity):
            self._make_namespace(entity)
            write.check()
            _partitioned(writer, parts).create()
            return
        stored = self.read(entity).schema
        if write.replaces_all:
            same = stored.simpleString() == rows.schema.simpleString()
            if same and (not parts or self._partitions(name) == parts):
                self._standing_on(name, writer, write).overwrite(F.lit(True))
            else:
                self._become_another(entity, rows, write, name)
            return
        check_columns(entity, stored, rows.schema)
        self._add_columns(entity, rows)
        if write.mode == "merge":
            names = map(quoted, entity.merge_columns)
            condition = " AND ".join(f"target.{key} = source.{key}" for key in names)
            self._merge(name, rows, write, condition, matched="WHEN MATCHED THEN UPDATE SET *")
        elif write.slice is None:
            self._append(entity, name, rows, write)
        else:
            kind = rows.schema[write.slice.column].dataType.simpleString()
            self._replace(name, rows, writer, write, write.slice.condition(kind))

    def _writer(self, entity: EntityMetadata, rows: DataFrame, write: Write, name: str) -> Any:
        writer = rows.writeTo(name).using("iceberg").options(**self._context.options_of(entity))
        return writer.option(f"snapshot-property.{_RUN}", write.instance)

    def _become_another(
        self, entity: EntityMetadata, rows: DataFrame, write: Write, name: str
    ) -> None:
        """Replace the table by one with other columns or partitions."""

        def create(place: str) -> None:
            writer = self._writer(entity, rows, write, place)
            _partitioned(writer, entity.partition_columns).createOrReplace()

        table = self._table(name)
        if is_named(entity) and can_replace(table):
            replace_table(self._spark, tuple(table_name_of(entity)), table, write, create)
        else:
            write.check()
            create(name)

    def _standing_on(self, name: str, writer: Any, write: Write) -> Any:
        """Return a writer whose overwrite conflicts with what changes the same rows from now on."""
        base = self._table(name).currentSnapshot()
        write.check()
        writer = writer.option("isolation-level", "serializable")
        return (
            writer
            if base is None
            else writer.option("validate-from-snapshot-id", str(base.snapshotId()))
        )

    def _append(self, entity: EntityMetadata, name: str, rows: DataFrame, write: Write) -> None:
        """Add rows on a branch, and let the table take them over unless it has those of the run."""
        with self._branch(name, write) as branch:
            write.check()
            table = self._table(name)
            table.manageSnapshots().createBranch(branch).commit()  # of the snapshot now, or none
            writer = rows.writeTo(f"{name}.branch_{branch}")
            writer = writer.options(**self._context.options_of(entity))
            writer = writer.option(f"snapshot-property.{_RUN}", write.instance)
            writer.option(f"snapshot-property.{_STAGED}", _name_of(write)).append()
            table.refresh()
            staged = table.refs().get(branch).snapshotId()
            table.manageSnapshots().cherrypick(staged).removeBranch(branch).commit()

    @contextmanager
    def _branch(self, name: str, write: Write) -> Iterator[str]:
        """Yield a name for a branch; remove it, and what earlier attempts of the task have left."""
        start = f"kindling_{write.instance}_"
        branch = start + hashlib.sha256(write.attempt.encode()).hexdigest()[:12]
        self._remove_branches(name, start)
        try:
            yield branch
        except BaseException:
            with suppress(Exception):  # the error counts; the next attempt removes what is left
                self._remove_branches(name, branch)
            raise

    def _remove_branches(self, name: str, start: str) -> None:
        table = self._table(name)
        found = [str(ref) for ref in table.refs().keySet() if str(ref).startswith(start)]
        if found:
            change = table.manageSnapshots()
            for ref in found:
                change = change.removeBranch(ref)
            change.commit()

    def _replace(
        self, name: str, rows: DataFrame, writer: Any, write: Write, condition: str
    ) -> None:
        """Replace the rows of a slice: whole files, or else the rows of those that are mixed."""
        try:
            self._standing_on(name, writer, write).overwrite(F.expr(condition))
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
        """Merge on a branch of the snapshot looked at, and let it become the table."""
        with self._branch(name, write) as branch:
            table = self._table(name)
            base = table.currentSnapshot()
            write.check()
            if base is not None:
                table.manageSnapshots().createBranch(branch, base.snapshotId()).commit()
            target = name if base is None else f"{name}.branch_{branch}"
            view = f"kindling_staged_{write.attempt}"
            rows.createOrReplaceTempView(quoted(view))
            try:
                self._spark.sql(
                    f"MERGE INTO {target} AS target USING {quoted(view)} AS source ON {condition} "
                    f"{matched} WHEN NOT MATCHED THEN INSERT * {unmatched}"
                )
            finally:
                self._spark.catalog.dropTempView(quoted(view))
            if base is not None:
                self._become(name, branch, base.snapshotId())

    def _become(self, name: str, branch: str, base: int) -> None:
        """Make a branch the table, if the table still is what the branch began with.

        Raises:
            _MovedError: it is not.
        """
        change = self._table(name).manageSnapshots()
        try:
            change.fastForwardBranch("main", branch).removeBranch(branch).commit()
        except Exception as error:  # py4j wraps whatever Iceberg throws
            now = self._table(name).currentSnapshot()
            if now is None or now.snapshotId() != base:
                raise _MovedError(str(error).partition("\n")[0]) from error
            raise

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
            summary = snapshot.summary()
            names = (summary.get(_RUN), summary.get(_PUBLISHED))
            if names[0] == write.instance or names[1] == _name_of(write):
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
        if is_named(entity):
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
            self._spark.conf.set(key, CATALOG_CLASS)
        return f"{catalog}.{quoted(name)}"

    def _make_namespace(self, entity: EntityMetadata) -> None:
        """Create the namespace of a table whose name follows from its entity's id."""
        if CATALOG_TAG not in entity.tags:
            return
        catalog, namespace, _ = table_name_of(entity)
        name = f"{catalog}.{quoted(namespace)}"
        try:
            self._spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {name}")
        except Exception:  # a catalog may find out late that a concurrent run has created it
            if not self._spark.catalog.databaseExists(name):
                raise

    def _check_catalog(self, entity: EntityMetadata, catalog: str) -> None:
        if self._spark.conf.get(f"spark.sql.catalog.{catalog}", None) is None:
            key = f"spark.sql.catalog.{catalog}"
            problem = (
                f"entity {entity.entityid!r}: the Spark session has no catalog {catalog!r}\n"
                "  Fix: add to the definition, with the values of your catalog\n"
                f"    spark:\n      conf:\n        {key}: {CATALOG_CLASS}\n"
                f"        {key}.type: rest\n        {key}.uri: https://..."
            )
            raise DeclarationError([problem])

    @staticmethod
    def _is_conflict(error: Exception) -> bool:
        if isinstance(error, _MovedError) or not _CONFLICTS.isdisjoint(java_names(error)):
            return True
        states = (str(java.getSQLState()) for java in java_causes(error) if _is_of_database(java))
        return any(state.startswith((_INTEGRITY, _SERIALIZATION)) for state in states)


class _MovedError(Exception):
    """A table has another snapshot than the one that a commit stands on."""


def _is_of_database(java: Any) -> bool:
    name = str(java.getClass().getName())
    return name.endswith("SQLException") and not name.startswith("org.apache.iceberg.")


def _name_of(write: Write) -> str:
    """Return the name under which Iceberg lets in an append once."""
    return f"kindling-{write.instance}"


def _partitioned(writer: Any, columns: tuple[str, ...]) -> Any:
    return writer.partitionedBy(*map(_partition, columns)) if columns else writer


def _partition(name: str) -> Column:
    """Return a column as ``partitionedBy`` takes it.

    Spark makes a text of the column's name and parses that once more: it quotes what has a dot in
    it, without care for backquotes, and nothing else.
    """
    return F.col(quoted(name.replace("`", "``") if "." in name else quoted(name)))
