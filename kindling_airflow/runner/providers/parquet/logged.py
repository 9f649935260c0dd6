"""A parquet table on storage without renames: immutable files, and a log that says which count.

What is on disk is in :mod:`~kindling_airflow.runner.providers.publishing.table_log`. A result is
written once, where it stays. It has been published when the next entry of the log is there, which
one of several drivers can create. Pipes read the files that the newest entry names; the folder that
a publish has for itself is a partition to Spark, so any number of them are read at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql.types import StringType, StructField, StructType

from kindling_airflow.common.durations import seconds_of
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.runner.providers.interface import Gained, ProviderContext, Staged, Write
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR
from kindling_airflow.runner.providers.publishing.sidecar import (
    in_order,
    parse_sidecar,
    same_columns,
    sidecar_text,
)
from kindling_airflow.runner.providers.publishing.table_log import (
    PUBLISH_COLUMN,
    TableLog,
    TableState,
    values_of,
)
from kindling_airflow.runner.providers.storage import literal_path
from kindling_airflow.tags.names import GRACE_TAG
from kindling_airflow.tags.registry import tag_row

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage

LiesIn = Callable[[Mapping[str, str | None]], bool | None]


def is_logged(storage: Storage, location: str) -> bool:
    """Return whether tables are published by a log at a place: where nothing can be renamed."""
    can = storage.abilities(location)
    return not can.atomic_rename and bool(can.create_if_absent)


class LoggedTable:
    """One entity's table."""

    def __init__(self, context: ProviderContext, entity: EntityMetadata) -> None:
        self._context = context
        self._storage = context.storage
        self._entity = entity
        self.location = context.location_of(entity)
        default = tag_row("entity", GRACE_TAG).default.strip("`")
        grace = seconds_of(str(entity.tags.get(GRACE_TAG, default)))
        self.log = TableLog(self._storage, self.location, int(grace * 1000))

    def state(self) -> TableState | None:
        """Return the table as its log has it; None if it has no log."""
        return self.log.state()

    def new_place(self, write: Write, columns: Sequence[str]) -> str:
        """Return a folder for a result, which no other result has had or will have.

        Raises:
            PipeRunError: the result has a column of the name that these folders have.
        """
        if PUBLISH_COLUMN in columns:
            raise PipeRunError(
                f"entity {self._entity.entityid!r}: the result has a column {PUBLISH_COLUMN!r}, "
                "which is the name of a folder in tables on this storage\n  Fix: rename it."
            )
        name = f"{write.instance}-{write.attempt}-{uuid.uuid4().hex[:8]}"
        return f"{self.log.data}/{PUBLISH_COLUMN}={name}"

    def read(self, state: TableState, files: Sequence[str] | None = None) -> DataFrame:
        """Return the rows of the table, or of some of its files, in the schema that it has."""
        sidecar = parse_sidecar(state.schema)
        if sidecar is None:
            raise EntityError(
                f"entity {self._entity.entityid!r}: the table's columns were written by a newer "
                "release\n  Fix: update this package on the driver."
            )
        paths = _paths(state, files)
        if not paths:
            return self._context.spark.createDataFrame([], sidecar.schema)
        publish = StructField(PUBLISH_COLUMN, StringType())
        options = {**self._context.options_of(self._entity), **sidecar.options}
        reader = self._context.spark.read.options(**options)
        reader = reader.option("basePath", self.log.data)  # no pattern
        reader = reader.schema(StructType([*sidecar.schema.fields, publish]))
        places = [literal_path(f"{self.log.data}/{path}") for path in paths]
        frame = reader.parquet(*places).drop(PUBLISH_COLUMN)
        return in_order(frame, sidecar.schema)

    def gained(self, output: LoggedTable, instance: str) -> Gained:
        """Return the rows that no other run has taken into an output."""
        state = self.state() or TableState()
        taken = output.state() or TableState()
        groups = state.gained(self._entity.entityid, taken, instance)
        files = [name for group in groups.values() for name in group.files]
        return Gained(self.read(state, files), tuple(groups))

    def publish(self, staged: Staged, write: Write, lies_in: LiesIn) -> None:
        """Let the next entry of the log have what was staged.

        The entry stands on the one before it. That one is looked at, then the attempt asks whether
        it is still wanted; and of a task, no attempt follows a later one.

        Raises:
            EntityError: the table's columns have changed meanwhile, another run has taken in the
                same rows, or a later attempt of the task has published.
        """
        files = self.log.staged(staged.path.rstrip("/").rpartition("/")[2])
        schema = self._storage.read_text(f"{staged.path}/{SIDECAR}")

        def plan(before: TableState) -> TableState:
            where = f"entity {self._entity.entityid!r}"
            fences = before.fences.passed(where, write.instance, write.order)
            write.check()
            if write.replaces_all:
                after = replace(before.replaced(files, lambda _name: True), groups={})
            else:
                self._check_columns(before, schema)
                if write.mode == "append":
                    after = before.appended(
                        files,
                        write.instance,
                        write.attempt,
                        write.taken,
                        is_empty=staged.rows == 0,
                    )
                else:
                    after = before.replaced(files, lambda name: lies_in(values_of(name)) is True)
            keeps = before.number and not write.replaces_all
            kept = before.schema if keeps else schema
            return replace(after, attempt=write.attempt, schema=kept, fences=fences)

        self.log.commit(plan)

    def create_empty(self, schema: StructType) -> None:
        """Create the table without rows, unless it exists."""

        def plan(before: TableState) -> TableState:
            if before.number:
                return replace(before, number=before.number + 1)
            return replace(before, number=1, schema=sidecar_text(schema))

        if self.state() is None:
            self.log.commit(plan)

    def _check_columns(self, before: TableState, schema: str) -> None:
        where = f"entity {self._entity.entityid!r}"
        if not before.number:
            if self._storage.any_data(literal_path(self.location)):
                raise PipeRunError(
                    f"{where}: the folder {self.location!r} has files that were not published by "
                    "a log; rows cannot be added to them on this storage\n"
                    "  Fix: have the whole table rewritten (write_mode: overwrite), or use another "
                    "location (provider.path)."
                )
        elif not same_columns(before.schema, schema):
            raise EntityError(
                f"{where}: the table's columns changed while its slice was computed; nothing was "
                "published\n  Fix: none needed if it is retried."
            )


def _paths(state: TableState, files: Sequence[str] | None) -> list[str]:
    """Return what to read: whole folders of publishes as far as that is the same."""
    mixed = {name.partition("/")[0] for name, _ in state.removed}
    if files is not None:
        return list(files)
    found: dict[str, None] = {}
    for name in state.files:
        folder = name.partition("/")[0]
        found[name if folder in mixed else folder] = None
    return list(found)
