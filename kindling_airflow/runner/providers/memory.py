"""Tables that live in a Spark session and end with it, for trials of many pipes on one session."""

from __future__ import annotations

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError, EntityError
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    Staged,
    Write,
)
from kindling_airflow.runner.providers.memory_tables import MemoryTables


class MemoryProvider:
    """Reads and replaces tables of the session.

    A result is computed when it is staged, once, and kept by Spark's executors without its
    lineage: a later change of what it was made from does not change it.

    Raises:
        DeclarationError: the session is that of a single task.
    """

    def __init__(self, context: ProviderContext) -> None:
        self._context = context

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return its place: the session."""
        return EntityDescription(f"memory:{entity.entityid}", "memory")

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether a pipe of this session has published it."""
        return self._tables(entity).get(entity.entityid) is not None

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows that were published last."""
        frame = self._tables(entity).get(entity.entityid)
        if frame is None:
            raise EntityError(f"entity {entity.entityid!r}: it was not written in this session")
        return frame

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int:  # noqa: ARG002 (interface)
        """Return the number of rows, which are in memory."""
        return frame.count()

    def stage(self, entity: EntityMetadata, frame: DataFrame, write: Write) -> Staged:
        """Compute a result and keep it."""
        self._tables(entity)
        kept = frame.localCheckpoint(eager=True)
        return Staged(f"memory:{entity.entityid}/{write.attempt}", kept.count(), kept)

    def publish(self, entity: EntityMetadata, staged: Staged, write: Write) -> None:  # noqa: ARG002
        """Make the result visible to readers."""
        self._tables(entity).put(entity.entityid, staged.frame)

    def _tables(self, entity: EntityMetadata) -> MemoryTables:
        if self._context.memory is None:
            problem = (
                f"entity {entity.entityid!r}: tables of provider_type 'memory' exist in one Spark "
                "session only, and this task's session ends with the task: no other task could "
                "read it\n"
                "  Fix: store it (provider_type: parquet, the default), or run the plan on one "
                "session with 'kindling-airflow run'."
            )
            raise DeclarationError([problem])
        return self._context.memory
