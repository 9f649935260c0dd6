"""What providers of table formats with a log of their own (Delta, Iceberg) have in common.

stage     the result beside the table, checked           -> staged_beside
publish   one commit of the format takes it over         -> the format's own, done again if another
          an append of the same run is done once            one came in between
          an append of no rows is not one, so that
          rows of this run that come late are added
create    the empty table, before a stream begins
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.interface import ProviderContext, Published, Staged, Write
from kindling_airflow.runner.providers.publishing.partition_values import partition_checks
from kindling_airflow.runner.providers.publishing.staging import (
    WRITE_MODES,
    appended_before,
    check_columns,
    create_patiently,
    empty_table,
    new_columns,
    own_folder,
    publish_patiently,
    replaces_all,
    stage_beside,
)
from kindling_airflow.runner.providers.publishing.storable_columns import (
    check_columns_storable,
    refusals_of,
)


class LoggedTableProvider(ABC):
    """Reads and writes tables of one format; what only the format knows is abstract."""

    kind: ClassVar[str]
    write_modes = WRITE_MODES
    fresh_in_every_batch = True

    def __init__(self, context: ProviderContext) -> None:
        self._context = context
        self._spark = context.spark

    @abstractmethod
    def exists(self, entity: EntityMetadata) -> bool:
        """Tell whether there is the table."""

    @abstractmethod
    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the newest version.

        Raises:
            EntityError: there is no table.
        """

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int:  # noqa: ARG002 (interface)
        """Return the number of rows, which the format takes from the table's own records."""
        return frame.count()

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Write a result to the staging area, and check it against the table and the slice.

        Raises:
            PipeRunError: its columns, the rows of its slice, or its keys are not as they must be.
        """
        exists = self.exists(entity)
        check_columns_storable(entity, self.kind, frame.schema, is_new=not exists)
        frame = self._as_stored(frame)
        if not replaces_all(write) and exists:
            check_columns(entity, self.read(entity).schema, frame.schema)
        with refusals_of(entity, self.kind):
            return stage_beside(self._context, entity, frame, write, self.kind)

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> Published | None:
        """Take over what was staged, in one commit.

        Raises:
            EntityError: others published at the same moment, each time that it was tried.
            PipeRunError: the format refuses the result.
        """

        def commit() -> Published | None:
            exists = self.exists(entity)
            if write.mode == "append" and exists and self._has_appended(entity, write):
                return appended_before(entity, staged)
            if staged.rows == 0 and not (exists and self._removes_rows(entity, write)):
                self._add_nothing(entity, staged.frame)
            else:
                self._write(entity, staged.frame, write)
            return None

        with refusals_of(entity, self.kind):
            return publish_patiently(self._context, entity, staged, commit, self._is_conflict)

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create the table, empty, from its declared schema, unless it exists.

        Raises:
            EntityError: it does not exist, and no schema is declared.
        """
        if not self.exists(entity):
            self._create_once(entity, empty_table(entity, self._spark))

    def _create_once(self, entity: EntityMetadata, rows: DataFrame) -> None:
        """Create the table with the columns of no rows, unless somebody else just has."""

        def create() -> None:
            if not self.exists(entity):
                self._create(entity, rows)

        create_patiently(self._context, entity, create, self._is_conflict)

    def _removes_rows(self, entity: EntityMetadata, write: Write) -> bool:
        """Return whether a write of no rows changes a table that exists."""
        if replaces_all(write):
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

    def _checked_stream(self, entity: EntityMetadata, frame: DataFrame) -> DataFrame:
        """Return a stream that fails at the first row that the format would change."""
        check_columns_storable(entity, self.kind, frame.schema, is_new=not self.exists(entity))
        folder = own_folder(self._context, entity)
        texts = partition_checks(entity, self.kind, self._context.storage, folder)
        return texts.refusing(self._as_stored(frame))

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
        """Tell whether the log of a table that exists knows of an append of the run."""

    @abstractmethod
    def _write(self, entity: EntityMetadata, rows: DataFrame, write: Write) -> None:
        """Take rows over by one commit, which gives the same table when it is done twice."""

    @staticmethod
    @abstractmethod
    def _is_conflict(error: Exception) -> bool:
        """Tell whether an error says that another commit was in the way."""
