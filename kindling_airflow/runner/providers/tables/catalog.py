"""Tables of the session catalog: each publish is a new folder, and the table points to it.

    <root>/gold.orders/<instance>-<attempt>/     one result, complete before the catalog knows of it

    catalog:  gold.orders  ->  <root>/gold.orders/<the newest of them>

1. write the files into a new folder          a driver that dies here leaves the table as it was
2. ALTER TABLE ... SET LOCATION <new folder>  one change in the catalog: the old table, or the new
3. delete the folder of the publish before last

Readers that go through the catalog, with any tool, see the old table or the new one; one that has
begun to read goes on in the old folder, which stays until the next publish.

Only where the columns have changed the table is re-created: beside the old one, and then both are
renamed. Between the two renames readers of this package read the old one under its hidden name, and
others find no table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql.types import StructType, TimestampType

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    Staged,
    Write,
)
from kindling_airflow.runner.providers.publishing.partition_values import partition_checks
from kindling_airflow.runner.providers.publishing.sidecar import (
    FOLDER_OPTIONS,
    in_order,
)
from kindling_airflow.runner.providers.publishing.storable_columns import (
    check_columns_storable,
    refusals_of,
)
from kindling_airflow.runner.providers.storage import literal_path
from kindling_airflow.runner.schema.differences import quoted, sql_type
from kindling_airflow.tags.names import FORMAT_TAG
from kindling_airflow.tags.paths import table_name_of

_SESSION_CATALOG = "spark_catalog"
_ENTITY = "kindling.entity"
_VERSIONS = "kindling.versions"
_PLACES = "kindling.partition_places"
_TIME_ZONE = "kindling.partition_time_zone"
_PARTITIONS_IN_CATALOG = "spark.sql.hive.manageFilesourcePartitions"
_FORMATS = ("parquet", "orc")


@dataclass(frozen=True, slots=True)
class _Table:
    """What the catalog knows of a table."""

    kind: str
    provider: str
    folder: str
    columns: tuple[tuple[str, str], ...]
    partition_columns: tuple[str, ...]
    partitions_in_catalog: bool
    properties: Mapping[str, str]


class CatalogTableProvider:
    """Reads tables and views of any catalog; replaces tables of the session catalog."""

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._spark = context.spark
        self._storage = context.storage

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the table's full name, and where its data are written."""
        details = freeze({"folder": self._context.location_of(entity), "data": _format(entity)})
        return EntityDescription(".".join(self._name(entity)), "table", details)

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether the catalog has it, if only the one of before."""
        return self._readable(self._name(entity)) is not None

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the table's rows."""
        name = self._readable(self._name(entity))
        if name is None:
            raise EntityError(
                f"entity {entity.entityid!r}: the catalog has no table "
                f"{'.'.join(self._name(entity))!r}"
            )
        frame = self._spark.table(_sql(name))
        if not entity.partition_columns:
            return frame
        properties = self._spark.sql(f"SHOW TBLPROPERTIES {_sql(name)}").collect()
        places = next((row[1] for row in properties if row[0] == _PLACES), "")
        order = _as_written(frame.columns, entity.partition_columns, places)
        return frame.select(*map(quoted, order))

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Write a result to its own folder and count what is really there.

        Raises:
            DeclarationError: the table could not be published: the catalog would forget it, has no
                such database, or has a table of this name that this result cannot replace.
        """
        self._check_catalog(entity)
        self._check_replaceable(entity, frame.schema)
        check_columns_storable(entity, "table", frame.schema, is_new=False)
        area, current = self._context.location_of(entity), self._current(entity)
        self._storage.delete_attempts(area, write.instance, current)
        path = f"{area}/{write.instance}-{write.attempt}"
        texts = partition_checks(entity, "table", self._storage, area)
        options = {**self._context.options_of(entity), **FOLDER_OPTIONS}
        writer = texts.marked(frame).write.format(_format(entity)).options(**options)
        if entity.partition_columns:
            writer = writer.partitionBy(*entity.partition_columns)
        with refusals_of(entity, "table"):
            writer.save(path)
        if entity.partition_columns:
            texts.refuse_marked(frame, self._storage, path)
        reader = self._spark.read.format(_format(entity)).options(**FOLDER_OPTIONS)
        staged = in_order(reader.schema(frame.schema).load(literal_path(path)), frame.schema)
        return Staged(path, staged.count(), staged)

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> None:  # noqa: ARG002
        """Point the table to the staged result; see the module for what readers see.

        Raises:
            EntityError: another driver published concurrently.
        """
        name = self._name(entity)
        previous = _hidden(name, "previous")
        try:
            if self._has(previous):  # a driver died in the middle of two renames, or after them
                self._drop(previous) if self._has(name) else self._rename(previous, name)
            if self._has(name):
                self._replace(name, entity, staged)
            else:
                self._create(name, entity, staged)
        except AnalysisException as error:
            raise EntityError(
                f"entity {entity.entityid!r}: the catalog refused to publish table "
                f"{'.'.join(name)!r}: {error}\n"
                "  Fix: retry if another run published it concurrently."
            ) from None  # because the cause is permanent

    def _replace(self, name: tuple[str, ...], entity: EntityMetadata, staged: Staged) -> None:
        table = self._table(name)
        old = _last_part(table.folder)
        versions = [v for v in table.properties.get(_VERSIONS, "").split(",") if v and v != old]
        if self._fits(table, entity, staged.frame.schema):
            self._set_property(name, _VERSIONS, ",".join((old, *versions)))
            if entity.partition_columns:
                self._set_property(name, _PLACES, _places(entity, staged.frame.columns))
            self._spark.sql(f"ALTER TABLE {_sql(name)} SET LOCATION {_literal(staged.path)}")
        else:
            new, previous = _hidden(name, "new"), _hidden(name, "previous")
            self._drop(new)
            self._drop(previous)
            self._create(new, entity, staged)
            self._set_property(new, _VERSIONS, ",".join((old, *versions)))
            self._rename(name, previous)
            self._rename(new, name)
            self._drop(previous)
        for version in versions:
            if version != _last_part(staged.path):
                self._storage.delete(f"{self._context.location_of(entity)}/{version}")
        self._set_property(name, _VERSIONS, old)

    def _check_catalog(self, entity: EntityMetadata) -> None:
        name = self._name(entity)
        where = f"entity {entity.entityid!r}"
        if name[0] != _SESSION_CATALOG:
            problem = (
                f"{where}: tables of catalog {name[0]!r} are read, not written, by provider_type "
                "'table'\n"
                f"  Fix: write it to the session catalog ({_SESSION_CATALOG})."
            )
            raise DeclarationError([problem])
        forgets = self._spark.conf.get("spark.sql.catalogImplementation") != "hive"
        if forgets and self._context.memory is None:
            problem = (
                f"{where}: the session's catalog is in memory: table {'.'.join(name)!r} would be "
                "lost when the driver ends\n"
                "  Fix: configure a metastore (spark.sql.catalogImplementation: hive), or store "
                "the entity as parquet."
            )
            raise DeclarationError([problem])
        folder = self._context.location_of(entity)
        if literal_path(folder) != folder:
            problem = (
                f"{where}: its folder {folder!r} has glob characters in its path, which tables of "
                "Spark's catalog cannot have\n"
                "  Fix: use a warehouse or a provider.path without any of []{}*?\\."
            )
            raise DeclarationError([problem])
        if not self._spark.catalog.databaseExists(_sql(name[:-1])):
            problem = (
                f"{where}: database not found: {'.'.join(name[:-1])!r}\n"
                f"  Fix: CREATE DATABASE {_sql(name[1:-1])}, or name another in provider.table."
            )
            raise DeclarationError([problem])

    def _check_replaceable(self, entity: EntityMetadata, schema: StructType) -> None:
        """Refuse before hours of work what could not be published: tables that others have made."""
        name = self._name(entity)
        if not self._has(name):
            return
        table = self._table(name)
        where = f"entity {entity.entityid!r}: table {'.'.join(name)!r}"
        remedy = "  Fix: name another table in provider.table, or drop this one."
        if table.kind == "VIEW" or table.provider not in _FORMATS:
            what = "a view" if table.kind == "VIEW" else f"stored as {table.provider!r}"
            raise DeclarationError([f"{where} is {what} and cannot be replaced\n{remedy}"])
        if table.properties.get(_ENTITY) == entity.entityid:
            return
        if table.partition_columns and table.partitions_in_catalog:
            problem = (
                f"{where} keeps its partitions in the catalog and cannot be replaced in one step\n"
                f"{remedy}"
            )
            raise DeclarationError([problem])
        if not self._fits(table, entity, schema):
            listed = ", ".join(f"{column} {kind}" for column, kind in table.columns)
            problem = (
                f"{where} was not created by this entity, and has different columns than the "
                "result: "
                f"{listed}; stored as {table.provider}, partitioned by "
                f"{', '.join(table.partition_columns) or 'nothing'}\n{remedy}"
            )
            raise DeclarationError([problem])

    def _fits(self, table: _Table, entity: EntityMetadata, schema: StructType) -> bool:
        schema = _arranged(entity, schema)
        same = (table.provider, table.columns, table.partition_columns) == (
            _format(entity),
            tuple((field.name, field.dataType.simpleString()) for field in schema),
            entity.partition_columns,
        )
        return same and (table.properties.get(_TIME_ZONE) == "UTC" or not _by_time(entity, schema))

    def _current(self, entity: EntityMetadata) -> set[str]:
        """Return the folders that readers may be in: that of the table, and the one of before."""
        found: set[str] = set()
        name = self._name(entity)
        for known in (name, _hidden(name, "previous")):
            if self._has(known):
                table = self._table(known)
                found |= {_last_part(table.folder), *table.properties.get(_VERSIONS, "").split(",")}
        return found

    def _create(self, name: tuple[str, ...], entity: EntityMetadata, staged: Staged) -> None:
        schema = _arranged(entity, staged.frame.schema)
        columns = ", ".join(f"{quoted(f.name)} {sql_type(f.dataType)}" for f in schema)
        properties = {_ENTITY: entity.entityid, _PLACES: _places(entity, staged.frame.columns)}
        by_time = _by_time(entity, schema)
        if by_time:  # in the names of folders, which Spark reads as the table's options say
            properties[_TIME_ZONE] = FOLDER_OPTIONS["timeZone"]
        listed = ", ".join(f"{_literal(k)} = {_literal(v)}" for k, v in properties.items() if v)
        parts = ", ".join(map(quoted, entity.partition_columns))
        with self._partitions_in_folders():
            self._spark.sql(
                f"CREATE TABLE {_sql(name)} ({columns}) USING {_format(entity)} "
                + (f"OPTIONS ({_options(FOLDER_OPTIONS)}) " if by_time else "")
                + (f"PARTITIONED BY ({parts}) " if parts else "")
                + f"LOCATION {_literal(staged.path)} "
                + f"TBLPROPERTIES ({listed})"
            )

    @contextmanager
    def _partitions_in_folders(self) -> Iterator[None]:
        """Let a table find its partitions in its folder, so that they move together with it."""
        before = self._spark.conf.get(_PARTITIONS_IN_CATALOG)
        self._spark.conf.set(_PARTITIONS_IN_CATALOG, "false")
        try:
            yield
        finally:
            self._spark.conf.set(_PARTITIONS_IN_CATALOG, before or "true")

    def _name(self, entity: EntityMetadata) -> tuple[str, ...]:
        """Return catalog, database and table: a temporary view never hides a full name."""
        parts = table_name_of(entity)
        if len(parts) == 1:
            parts = (self._spark.catalog.currentDatabase(), *parts)
        return parts if len(parts) == 3 else (self._spark.catalog.currentCatalog(), *parts)

    def _readable(self, name: tuple[str, ...]) -> tuple[str, ...] | None:
        hidden = _hidden(name, "previous")
        return name if self._has(name) else hidden if self._has(hidden) else None

    def _has(self, name: tuple[str, ...]) -> bool:
        return self._spark.catalog.tableExists(_sql(name))

    def _table(self, name: tuple[str, ...]) -> _Table:
        [row] = self._spark.sql(f"DESCRIBE TABLE EXTENDED {_sql(name)} AS JSON").collect()
        described: dict[str, Any] = json.loads(row[0])
        return _Table(
            kind=str(described.get("type", "")),
            provider=str(described.get("provider", "")).lower(),
            folder=str(described.get("location", "")),
            columns=tuple(
                (field.name, field.dataType.simpleString())
                for field in self._spark.table(_sql(name)).schema
            ),
            partition_columns=tuple(described.get("partition_columns") or ()),
            partitions_in_catalog=str(described.get("partition_provider", "")).lower() == "catalog",
            properties=described.get("table_properties") or {},
        )

    def _set_property(self, name: tuple[str, ...], key: str, value: str) -> None:
        self._spark.sql(
            f"ALTER TABLE {_sql(name)} SET TBLPROPERTIES ({_literal(key)} = {_literal(value)})"
        )

    def _rename(self, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        self._spark.sql(f"ALTER TABLE {_sql(old)} RENAME TO {_sql(new[1:])}")

    def _drop(self, name: tuple[str, ...]) -> None:
        """Forget a table of this package's own: its data are not the catalog's and stay."""
        self._spark.sql(f"DROP TABLE IF EXISTS {_sql(name)}")


def _format(entity: EntityMetadata) -> str:
    return str(entity.tags.get(FORMAT_TAG, _FORMATS[0]))


def _arranged(entity: EntityMetadata, schema: StructType) -> StructType:
    """Return a schema as Spark's tables have it: partition columns last."""
    parts = entity.partition_columns
    return StructType([f for f in schema if f.name not in parts] + [schema[p] for p in parts])


def _by_time(entity: EntityMetadata, schema: StructType) -> bool:
    return any(
        isinstance(schema[part].dataType, TimestampType) for part in entity.partition_columns
    )


def _places(entity: EntityMetadata, columns: Sequence[str]) -> str:
    """Return where the partition columns stood in a result: the catalog has them last."""
    return ",".join(str(columns.index(part)) for part in entity.partition_columns)


def _as_written(columns: Sequence[str], parts: Sequence[str], places: str) -> list[str]:
    """Return columns in the order in which they were written.

    >>> _as_written(["id", "n", "day"], ["day"], "0")
    ['day', 'id', 'n']
    """
    where = [int(place) for place in places.split(",") if place]
    if len(where) != len(parts) or list(columns[-len(parts) :]) != list(parts):
        return list(columns)  # a table of others, or of an earlier release
    found = [name for name in columns if name not in parts]
    for place, name in sorted(zip(where, parts, strict=True)):
        found.insert(place, name)
    return found


def _options(options: Mapping[str, str]) -> str:
    return ", ".join(f"{_literal(key)} = {_literal(value)}" for key, value in options.items())


def _hidden(name: tuple[str, ...], kind: str) -> tuple[str, ...]:
    return (*name[:-1], f"{name[-1]}__kindling_{kind}")


def _last_part(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _sql(name: tuple[str, ...]) -> str:
    return ".".join(map(quoted, name))


def _literal(text: str) -> str:
    """Return a text as a SQL literal: without quotes and variables that would mean something."""
    return "'" + re.sub(r"[\\'\"$\n]", lambda found: f"\\u{ord(found[0]):04X}", text) + "'"
