"""CSV and JSON files as sources: read, never written.

The defaults trust nothing: a CSV file has a header whose names must fit the declared schema (Spark
alone would map columns by position), and a value that does not fit its type fails the pipe (Spark
alone would make it null). ``provider.option.*`` tags change both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.storage import Storage, location_of, reader_options

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["SourceFilesProvider"]


class SourceFilesProvider:
    """Reads one format of text files; ``provider.path`` may hold Hadoop's glob characters."""

    def __init__(self, kind: str, spark: SparkSession, storage: Storage, warehouse: str) -> None:
        self._kind = kind
        self._spark = spark
        self._storage = storage
        self._warehouse = warehouse

    def location(self, entity: EntityMetadata) -> str:
        """Return the path or pattern of the files."""
        return location_of(entity, self._warehouse)

    def exists(self, entity: EntityMetadata) -> bool:
        """Tell whether any file is there."""
        return self._storage.any_match(self.location(entity))

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the files, in the declared schema if there is one."""
        defaults = {"header": "true"} if self._kind == "csv" else {}
        if entity.schema is not None:
            defaults["mode"] = "FAILFAST"
            if self._kind == "csv":
                defaults["enforceSchema"] = "false"
        elif self._kind == "csv":
            defaults["inferSchema"] = "true"
        reader = self._spark.read.format(self._kind).options(**reader_options(entity, defaults))
        if entity.schema is not None:
            reader = reader.schema(entity.schema)
        return reader.load(self.location(entity))

    def count(self, entity: EntityMetadata, frame: DataFrame) -> int | None:  # noqa: ARG002 (interface)
        """Return None: counting a text file means reading it."""
        return None

    def stage(
        self,
        entity: EntityMetadata,
        frame: DataFrame,  # noqa: ARG002 (interface)
        instance: str,  # noqa: ARG002
        attempt: str,  # noqa: ARG002
    ) -> NoReturn:
        """Refuse.

        Raises:
            EntityError: always; says what to do instead.
        """
        raise EntityError(
            f"entity {entity.entityid!r}: {self._kind} files are sources and cannot be written\n"
            "  Fix: let the pipe write a parquet entity (provider_type: parquet, the default)."
        )

    def publish(self, entity: EntityMetadata, staged: object, attempt: str) -> NoReturn:  # noqa: ARG002
        """Refuse, as :meth:`stage`."""
        raise EntityError(f"entity {entity.entityid!r}: {self._kind} files cannot be written")
