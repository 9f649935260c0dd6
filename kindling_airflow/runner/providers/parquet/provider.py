"""Parquet tables: plain folders of files, staged beside the table and published in one step.

    <root>/silver.orders/                                  the table: plain parquet files
    <root>/_kindling/staging/silver.orders/<key>/          a result that no reader sees yet

``overwrite`` replaces the folder (:mod:`~kindling_airflow.runner.providers.parquet.whole`);
``overwrite_interval`` and ``append`` change some of its files, one publish after the other
(:mod:`~kindling_airflow.runner.providers.publishing.publish_log`). A table that a stream writes is
another kind of table (:mod:`~kindling_airflow.runner.providers.parquet.stream`), and read
alike.

``_kindling.json`` holds the schema, because partition folders do not keep the types of their
columns: ``month=01`` would come back as the integer 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame, DataFrameReader
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.types import StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.runner.providers.files.folder_types import with_kept_texts
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    Gained,
    ProviderContext,
    Staged,
    StreamRead,
    StreamWrite,
    Write,
)
from kindling_airflow.runner.providers.parquet.foreign import read_foreign
from kindling_airflow.runner.providers.parquet.logged import LoggedTable, is_logged
from kindling_airflow.runner.providers.parquet.stream import (
    create_empty,
    has_data,
    is_streamed,
    refuse_publish,
    take_over,
)
from kindling_airflow.runner.providers.parquet.whole import (
    publish_whole,
    put_back,
    readable,
)
from kindling_airflow.runner.providers.publishing.footers import count_rows
from kindling_airflow.runner.providers.publishing.partition_values import partition_checks
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR, Commit, PublishLog
from kindling_airflow.runner.providers.publishing.sidecar import (
    FOLDER_OPTIONS,
    Sidecar,
    check_time_zone,
    in_order,
    read_sidecar,
    same_columns,
    sidecar_text,
)
from kindling_airflow.runner.providers.publishing.sliced_table import SlicedTable, partition_values
from kindling_airflow.runner.providers.publishing.storable_columns import (
    check_columns_storable,
    refusals_of,
)
from kindling_airflow.runner.providers.storage import area_of, literal_path
from kindling_airflow.runner.providers.stream_writer import stream_writer
from kindling_airflow.runner.schema.differences import declared_schema, schema_differences
from kindling_airflow.tags.intervals import IntervalSlice, write_mode_of

_EXAMPLES = 3


class ParquetProvider:
    """Reads parquet tables; writes them whole, by slices, by the files of a run, as a stream."""

    write_modes = ("overwrite", "overwrite_interval", "append")

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
        """Return whether there is a table, if only the one of before.

        A folder of others that has no file yet is one where a schema says what will be in it.
        """
        logged = self._logged(entity)
        if logged is not None and logged.state() is not None:
            return True
        path = readable(self._storage, self._context.location_of(entity))
        if logged is not None and path is not None:
            return self._storage.any_data(literal_path(path))  # and not what is only staged
        if path is None or entity.schema is not None or self._storage.exists(f"{path}/{SIDECAR}"):
            return path is not None
        return self._storage.any_data(literal_path(path))

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the table's rows, in the schema in which they were written."""
        logged = self._logged(entity)
        state = None if logged is None else logged.state()
        if logged is not None and (state is not None or not self.exists(entity)):
            return logged.read(state) if state is not None else self._missing(entity)
        return self._log(entity).consistent(lambda: self._look(entity))

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int:  # noqa: ARG002 (interface)
        """Return the number of rows, from the files' footers."""
        return count_rows(frame)

    def read_gained(self, entity: EntityMetadata, output: EntityMetadata, instance: str) -> Gained:
        """Return the rows of the runs that no other run has taken into an output."""
        logged, taken = self._logged(entity), self._logged(output)
        if logged is not None and taken is not None:
            return logged.gained(taken, instance)
        if logged is not None or taken is not None:
            raise PipeRunError(
                f"entities {entity.entityid!r} and {output.entityid!r} are on different kinds of "
                "storage, so what one has gained is not recorded with the other\n"
                "  Fix: put both on one kind of storage, or read all of it (use_watermark: false)."
            )
        table = self._table(entity)

        def look() -> Gained:
            rows = self._look(entity)
            done = self._files_that_count(table.folder, rows)
            groups = table.gained(entity.entityid, self._table(output), instance, done)
            files = [name for group in groups.values() for name in group.files]
            if files:
                reader = self._reader(entity, read_sidecar(self._storage, table.folder))
                reader = reader.option("basePath", table.folder).schema(rows.schema)
                paths = [literal_path(f"{table.folder}/{name}") for name in files]
                return Gained(in_order(reader.parquet(*paths), rows.schema), tuple(groups))
            return Gained(rows.limit(0), tuple(groups))

        return self._log(entity).consistent(look)

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Write a result to the staging area and count what is really there.

        Raises:
            PipeRunError: rows are outside of the slice that is replaced, or the columns are not
                those of the table whose other rows stay.
        """
        location = self._context.location_of(entity)
        refuse_publish(entity, self._storage, location)
        check_columns_storable(entity, "parquet", frame.schema, is_new=write.replaces_all)
        logged = self._logged(entity)
        if logged is None:
            area = area_of(location, "staging")
            self._log(entity).settled()  # a publish that was decided still needs its staged files
            self._storage.delete_attempts(area, write.instance)
            path = f"{area}/{write.instance}-{write.attempt}"
        else:
            path = logged.new_place(write, frame.columns)
        if not write.replaces_all:
            self._check_columns(entity, frame)
            if logged is None:
                check_time_zone(entity, self._storage, location, frame.schema)
        texts = partition_checks(entity, "parquet", self._storage, location)
        options = {**self._context.options_of(entity), **FOLDER_OPTIONS}
        writer = texts.marked(frame).write.options(**options)
        if entity.partition_columns:
            with refusals_of(entity, "parquet"):
                writer.partitionBy(*entity.partition_columns).parquet(path)
            texts.refuse_marked(frame, self._storage, path)
            if logged is None and write.replaces_all and not has_data(self._storage, path):
                # Without a row there is no partition, and without a file no schema.
                frame.limit(0).write.mode("overwrite").parquet(path)
        else:
            with refusals_of(entity, "parquet"):
                writer.parquet(path)
        if write.slice is not None and write.mode == "overwrite_interval":
            self._check_slice(entity, frame, path, write.slice)
        self._storage.write_text(f"{path}/{SIDECAR}", sidecar_text(frame.schema))
        if logged is not None and not has_data(self._storage, path):
            return Staged(path, 0, self._spark.createDataFrame([], frame.schema))
        staged = self._load(entity, path)
        return Staged(path, count_rows(staged), staged)

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> None:
        """Put the staged result in the table's place, or in the place of what it replaces.

        Raises:
            EntityError: another driver published concurrently, or the file system refused.
            PipeRunError: a stream has begun to write the table.
        """
        location = self._context.location_of(entity)
        refuse_publish(entity, self._storage, location)
        logged = self._logged(entity)
        if logged is not None:
            logged.publish(staged, write, _lies_in(write.slice, staged.frame.schema))
            return
        table, log = self._table(entity), self._log(entity)
        if write.mode == "overwrite":
            log.settled()
            publish_whole(self._storage, location, staged.path, write.attempt)
            table.forget_groups()
            return

        def plan() -> Commit:
            write.check()
            put_back(self._storage, location)
            sidecar = self._new_sidecar(entity, table, staged.path, write)
            if write.mode == "append":
                return table.appended(
                    staged.path,
                    write.attempt,
                    sidecar,
                    write.instance,
                    write.taken,
                    is_empty=staged.rows == 0,
                )
            return table.replaced(
                staged.path, write.attempt, sidecar, _lies_in(write.slice, staged.frame.schema)
            )

        log.commit(plan, instance=write.instance, order=write.order)

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create a table that does not exist yet, without rows, from its declared schema.

        Raises:
            EntityError: it does not exist, and no schema is declared.
        """
        if self.exists(entity):
            return
        location = self._context.location_of(entity)
        schema = declared_schema(entity)
        if schema is None:
            raise EntityError(
                f"entity {entity.entityid!r}: no table at {location!r} yet, and no declared schema "
                "from which to create an empty one for the stream that reads it\n"
                "  Fix: declare the entity's schema, or run the pipe that writes it first."
            )
        logged = self._logged(entity)
        if logged is not None:
            logged.create_empty(schema)
            return
        create_empty(self._storage, location, schema)

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the rows as they come: of a stream's table, or of files that are added.

        Raises:
            PipeRunError: runs replace the table's files, so a stream would see rows twice, or lose
                the files that it is about to read.
            EntityError: nothing says what columns the files will have.
        """
        location = self._context.location_of(entity)
        logged = self._logged(entity)
        if logged is not None and logged.state() is not None:
            raise PipeRunError(
                f"entity {entity.entityid!r}: the table at {location!r} is published by a log, "
                "which a stream cannot follow\n"
                "  Fix: store it as iceberg in a catalog (provider.table: catalog.database.table)."
            )
        streamed = is_streamed(self._storage, location)
        published = self._storage.exists(f"{location}/{SIDECAR}") and has_data(
            self._storage, location
        )
        if published and not streamed and write_mode_of(entity) != "append":
            raise PipeRunError(
                f"entity {entity.entityid!r}: runs replace files of the table at {location!r}; a "
                "stream that reads it would read rows again, and miss files that it was about to "
                "read\n"
                "  Fix: let its runs append (write_mode: append), or store the table as delta or "
                "iceberg."
            )
        schema = self._schema_for_stream(entity, location)
        reader = self._spark.readStream.schema(schema)
        sidecar = read_sidecar(self._storage, location)
        options = {**self._context.options_of(entity), **read.options, **_folder_options(sidecar)}
        return in_order(reader.options(**options).parquet(literal_path(location)), schema)

    def start(self, entity: EntityMetadata, frame: DataFrame, write: StreamWrite) -> StreamingQuery:
        """Start the query that writes a stream to the table, exactly once.

        Raises:
            PipeRunError: the table was published by runs, belongs to another checkpoint, or has
                other columns.
        """
        location = self._context.location_of(entity)
        self._log(entity).settled()
        check_columns_storable(entity, "parquet", frame.schema, is_new=not self.exists(entity))
        take_over(entity, self._storage, location, frame.schema, write.checkpoint)
        self._check_columns(entity, frame)
        options = {**self._context.options_of(entity), **FOLDER_OPTIONS}
        texts = partition_checks(entity, "parquet", self._storage, location)
        writer = stream_writer(texts.refusing(frame), write).options(**options)
        if entity.partition_columns:
            writer = writer.partitionBy(*entity.partition_columns)
        return writer.format("parquet").start(location)

    def _new_sidecar(
        self, entity: EntityMetadata, table: SlicedTable, staged: str, write: Write
    ) -> str | None:
        """Return the sidecar that the table is to get; None if it keeps its own."""
        new, stored = self._storage.read_text(f"{staged}/{SIDECAR}"), table.sidecar()
        if stored is None or write.replaces_all:
            return new
        if not same_columns(stored, new):
            raise EntityError(
                f"entity {entity.entityid!r}: the table's columns changed while its slice was "
                "computed; nothing was published\n  Fix: none needed if it is retried."
            )
        return None

    def _check_columns(self, entity: EntityMetadata, frame: DataFrame) -> None:
        if not self.exists(entity):
            return
        problems = schema_differences(self.read(entity).schema, frame.schema)
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems)
            remedy = (
                "move the table away and restart the stream"
                if is_streamed(self._storage, self._context.location_of(entity))
                else "have the whole table rewritten (a run without an interval does)"
                if write_mode_of(entity) == "overwrite_interval"
                else "have the whole table rewritten (write_mode: overwrite)"
            )
            raise PipeRunError(
                f"entity {entity.entityid!r}: the result does not have the columns of the table, "
                f"whose other rows are kept\n{listed}\n  Fix: {remedy}, or keep the columns."
            )

    def _check_slice(
        self, entity: EntityMetadata, frame: DataFrame, path: str, part: IntervalSlice
    ) -> None:
        """Refuse rows outside of the slice: partitions are folders, so their names suffice."""
        kind = frame.schema[part.column].dataType.simpleString()
        if kind not in ("date", "string"):
            raise PipeRunError(
                f"entity {entity.entityid!r}: its slices are partitions by {part.column!r}, of "
                f"type {kind.upper()}\n"
                "  Fix: partition by a DATE, or by a STRING that holds ISO 8601."
            )
        named = [partition_values(name) for name in self._storage.files(path) if "=" in name]
        values = {value[part.column] for value in named}
        outside = sorted(
            "null" if value is None else value
            for value in values
            if not part.contains_text(value, kind)
        )
        if outside:
            shown = ", ".join(outside[:_EXAMPLES]) + (", ..." if len(outside) > _EXAMPLES else "")
            raise PipeRunError(
                f"entity {entity.entityid!r}: the result has rows outside the run's slice "
                f"({part}): {part.column} = {shown}\n"
                "  Fix: remove such rows, or read the slice only (interval.read: slice)."
            )

    def _schema_for_stream(self, entity: EntityMetadata, location: str) -> StructType:
        """Return the columns of what is there, else those that are declared."""
        if has_data(self._storage, location) or read_sidecar(self._storage, location) is not None:
            return self.read(entity).schema
        schema = declared_schema(entity)
        if schema is None:
            raise EntityError(
                f"entity {entity.entityid!r}: no file at {location!r} yet that would show the "
                "columns of a stream\n  Fix: declare the entity's schema."
            )
        return schema

    def _files_that_count(self, table: str, rows: DataFrame) -> list[str] | None:
        """Return the relative paths of a stream's files; None where all files of a folder count."""
        if not is_streamed(self._storage, table):
            return None
        return self._storage.relative_to(table, rows.inputFiles())

    def _logged(self, entity: EntityMetadata) -> LoggedTable | None:
        """Return the table where it is published by a log of immutable files; else None."""
        if not is_logged(self._storage, self._context.location_of(entity)):
            return None
        return LoggedTable(self._context, entity)

    def _missing(self, entity: EntityMetadata) -> DataFrame:
        location = self._context.location_of(entity)
        raise EntityError(f"entity {entity.entityid!r}: no table at {location!r}")

    def _log(self, entity: EntityMetadata) -> PublishLog:
        return PublishLog(self._storage, self._context.location_of(entity))

    def _table(self, entity: EntityMetadata) -> SlicedTable:
        return SlicedTable(self._storage, self._context.location_of(entity))

    def _look(self, entity: EntityMetadata) -> DataFrame:
        location = self._context.location_of(entity)
        path = readable(self._storage, location)
        if path is None:
            raise EntityError(f"entity {entity.entityid!r}: no table at {location!r}")
        return self._load(entity, path)

    def _load(self, entity: EntityMetadata, path: str) -> DataFrame:
        sidecar = read_sidecar(self._storage, path)
        # A pattern is no folder in which Spark would look for the log of a stream.
        place = path if is_streamed(self._storage, path) else literal_path(path)
        if sidecar is not None:
            frame = self._reader(entity, sidecar).schema(sidecar.schema).parquet(place)
            return in_order(frame, sidecar.schema)
        frame = read_foreign(self._context, entity, place)
        if not any("=" in name for name in self._storage.names(path)):
            return frame
        return with_kept_texts(
            frame,
            self._storage,
            path,
            declared_schema(entity),
            lambda schema: self._reader(entity, None).schema(schema).parquet(place),
        )

    def _reader(self, entity: EntityMetadata, sidecar: Sidecar | None) -> DataFrameReader:
        options = {**self._context.options_of(entity), **_folder_options(sidecar)}
        return self._spark.read.options(**options)


def _folder_options(sidecar: Sidecar | None) -> dict[str, str]:
    """Return how the names of a table's folders are to be read."""
    return {} if sidecar is None else sidecar.options


def _lies_in(
    part: IntervalSlice | None, schema: StructType
) -> Callable[[Mapping[str, str | None]], bool | None]:
    """Return whether a partition is one of the slice; without a slice each is."""
    if part is None:
        return lambda _values: True
    kind = schema[part.column].dataType.simpleString()
    return lambda values: (
        part.contains_text(values[part.column], kind) if part.column in values else None
    )
