"""What providers of table formats with their own log (Delta, Iceberg) have in common.

stage     the result beside the table, checked           -> staging
publish   one commit of the format takes it over         -> the format's own, repeated after a
          an append of the same run is made once            conflict
          an append of no rows is not one, so that
          rows of this run that come late are added
create    the empty table, before a stream begins
stream    reads rows that are added; a stream cannot retract rows that are changed later
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from pyspark.sql import DataFrame

from kindling_airflow.common.immutable import freeze
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    Published,
    Staged,
    Write,
)
from kindling_airflow.runner.providers.publishing.partition_values import partition_checks
from kindling_airflow.runner.providers.publishing.staging import (
    WRITE_MODES,
    check_columns,
    new_columns,
    own_folder,
    retry_conflicts,
    stage_beside,
)
from kindling_airflow.runner.providers.publishing.storable_columns import (
    check_columns_storable,
    refusals_of,
)
from kindling_airflow.runner.schema.differences import arranged, declared_schema
from kindling_airflow.tags.paths import table_name_of


class LoggedTableProvider(ABC):
    """Reads and writes tables of one format; what only the format knows is abstract.

    Attributes:
        kind: the format.
        changed: what an error says that ends a stream because rows were changed; its group is the
            number of the commit.
        commit_word: the format's word for a commit.
        skip_tags: the tags with which a stream skips such commits.
        replaced: what an error says that ends a stream because the table is another one.
    """

    kind: ClassVar[str]
    changed: ClassVar[re.Pattern[str]]
    commit_word: ClassVar[str]
    skip_tags: ClassVar[str]
    replaced: ClassVar[re.Pattern[str]]
    write_modes = WRITE_MODES
    fresh_in_every_batch = True

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._spark = context.spark

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the table's folder, or its name in a catalog, and its partition columns."""
        parts = entity.partition_columns
        details = freeze({"partition_columns": list(parts)} if parts else {})
        folder = own_folder(self._context, entity)
        where = ".".join(table_name_of(entity)) if folder is None else folder
        return EntityDescription(where, self.kind, details)

    @abstractmethod
    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether the table exists."""

    @abstractmethod
    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the newest version.

        Raises:
            EntityError: there is no table.
        """

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int:  # noqa: ARG002 (interface)
        """Return the number of rows, which the format takes from the table's metadata."""
        return frame.count()

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Write a result to the staging area, and check it against the table and the slice.

        Raises:
            PipeRunError: its columns, the rows of its slice, or its keys are invalid.
        """
        exists = self.exists(entity)
        check_columns_storable(entity, self.kind, frame.schema, is_new=not exists)
        frame = self._as_stored(frame)
        if not write.replaces_all and exists:
            check_columns(entity, self.read(entity).schema, frame.schema)
        with refusals_of(entity, self.kind):
            return stage_beside(self._context, entity, frame, write, self.kind)

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> Published | None:
        """Take over what was staged, in one commit.

        Raises:
            EntityError: others published concurrently, each time.
            PipeRunError: the format refuses the result.
        """

        def commit() -> Published | None:
            exists = self.exists(entity)
            self._check_newest(entity, write)
            if write.mode == "append" and exists and self._has_appended(entity, write):
                return Published(
                    0,
                    f"entity {entity.entityid!r}: this run has already appended its rows, which "
                    f"are kept; the {staged.rows} rows of this attempt were not added",
                )
            if staged.rows == 0 and not (exists and self._removes_rows(entity, write)):
                self._add_nothing(entity, staged.frame)
            else:
                self._write(entity, staged.frame, write)
                self._check_newest(entity, write)
            return None

        problem = (
            "other runs published it concurrently, {times}; this result was not published: "
            "{reason}\n"
            "  Fix: let fewer runs write it concurrently, or partition it by its interval column, "
            "so that they do not touch the same files."
        )
        with refusals_of(entity, self.kind):
            published = retry_conflicts(self._context, entity, commit, self._is_conflict, problem)
            self._context.storage.delete(staged.path)
            return published

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create the table, empty, from its declared schema, unless it exists.

        Raises:
            EntityError: it does not exist, and no schema is declared.
        """
        if self.exists(entity):
            return
        declared = declared_schema(entity)
        if declared is None:
            raise EntityError(
                f"entity {entity.entityid!r}: there is no table yet, and no declared schema from "
                "which to create an empty one\n"
                "  Fix: declare the entity's schema, or write the table before a stream reads it."
            )
        self._create_once(entity, arranged(self._spark.createDataFrame([], declared), declared))

    def stream_problem(self, entity: EntityMetadata, error: Exception) -> str | None:
        """Return whether a stream of the table has met changed rows, or another table."""
        texts = [str(java.getMessage()) for java in java_causes(error)]
        anew = "start with the table as it is now, with a new output and a new checkpoint"
        found = next(filter(None, map(self.changed.search, texts)), None)
        if found is not None:
            return (
                f"entity {entity.entityid!r}: rows of the table were replaced or deleted "
                f"({self.commit_word} {found[1]}); a stream cannot retract rows that it has read\n"
                "  Fix: only append rows to it (write_mode: append); or skip such commits, and the "
                f"new rows in them ({self.skip_tags}); or {anew} (stream.checkpoint)."
            )
        if any(map(self.replaced.search, texts)):
            return (
                f"entity {entity.entityid!r}: the table was replaced, or no longer has the history "
                f"that the stream's checkpoint refers to\n  Fix: {anew} (stream.checkpoint)."
            )
        return None

    def _create_once(self, entity: EntityMetadata, rows: DataFrame) -> None:
        """Create the table with the columns of no rows, unless a concurrent run has."""

        def create() -> None:
            if not self.exists(entity):
                self._create(entity, rows)

        problem = (
            "its empty table cannot be created, because others change it concurrently, {times}: "
            "{reason}\n  Fix: none needed if it is retried."
        )
        retry_conflicts(self._context, entity, create, self._is_conflict, problem)

    def _removes_rows(self, entity: EntityMetadata, write: Write) -> bool:
        """Return whether a write of no rows changes a table that exists."""
        if write.replaces_all:
            return True
        if write.slice is None:  # append, merge
            return False
        stored = self.read(entity)
        kind = stored.schema[write.slice.column].dataType.simpleString()
        return not stored.where(write.slice.condition(kind)).isEmpty()

    def _add_nothing(self, entity: EntityMetadata, rows: DataFrame) -> None:
        """Let the table exist with the columns of no rows, and commit nothing else.

        A mark of the run would keep its late rows out, and a snapshot without rows ends a stream.
        """
        if not self.exists(entity):
            self._create(entity, rows)
            return
        stored = self.read(entity).schema
        check_columns(entity, stored, rows.schema)
        if new_columns(entity, stored, rows.schema):
            self._add_columns(entity, rows)

    def _ready_for_stream(self, entity: EntityMetadata, frame: DataFrame) -> DataFrame:
        """Create the table if needed; return a stream that fails at the first unstorable row.

        Raises:
            PipeRunError: its columns are not those of the table.
        """
        exists = self.exists(entity)
        check_columns_storable(entity, self.kind, frame.schema, is_new=not exists)
        folder = own_folder(self._context, entity)
        checks = partition_checks(entity, self.kind, self._context.storage, folder)
        frame = checks.refusing(self._as_stored(frame))
        if not exists:
            self._create_once(entity, self._spark.createDataFrame([], frame.schema))
        check_columns(entity, self.read(entity).schema, frame.schema)
        return frame

    def _as_stored(self, frame: DataFrame) -> DataFrame:
        """Return rows in the types that the format has."""
        return frame

    @abstractmethod
    def _create(self, entity: EntityMetadata, rows: DataFrame) -> None:
        """Create the table with the columns of no rows."""

    @abstractmethod
    def _add_columns(self, entity: EntityMetadata, rows: DataFrame) -> None:
        """Give a table that exists the columns of a result that it lacks."""

    @abstractmethod
    def _has_appended(self, entity: EntityMetadata, write: Write) -> bool:
        """Return whether the log of a table that exists has an append of the run."""

    def _check_newest(self, entity: EntityMetadata, write: Write) -> None:  # noqa: ARG002
        """Raise if the table has a commit of a later attempt of the same task instance.

        Raises:
            EntityError: it has.
        """
        return

    @abstractmethod
    def _write(self, entity: EntityMetadata, rows: DataFrame, write: Write) -> None:
        """Take rows over by one commit, which gives the same table when it is repeated.

        It calls ``write.check`` first, and fails by a conflict if the table has got a commit since
        that would make it undo, or repeat, what a later attempt has done.
        """

    @staticmethod
    @abstractmethod
    def _is_conflict(error: Exception) -> bool:
        """Return whether an error means that another commit was in the way."""
