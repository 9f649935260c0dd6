"""CSV and JSON files as sources: read, never written.

The defaults trust nothing: a CSV file has a header whose names must fit the declared schema (Spark
alone would map columns by position), and a value that does not fit its type fails the pipe (Spark
alone would make it null). ``provider.option.*`` tags change both.

As a stream, each file is taken in once, when it is there: it has to come into its place as a whole,
by a rename.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.provider_types import PATH_TAG, is_absolute
from kindling_airflow.runner.providers.csv_header import check_header
from kindling_airflow.runner.providers.first_lines import surely_has_rows
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    StreamRead,
)
from kindling_airflow.runner.providers.storage import literal_path
from kindling_airflow.runner.schema_difference import declared_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["CsvProvider", "JsonProvider"]


class _SourceFilesProvider:
    """Reads one format of text files; ``provider.path`` may hold Hadoop's glob characters."""

    format: str

    def __init__(self, context: ProviderContext) -> None:
        self._context = context

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the path or pattern of the files."""
        return EntityDescription(self._context.location_of(entity), self.format)

    def exists(self, entity: EntityMetadata) -> bool:
        """Tell whether any file is there."""
        return self._context.storage.any_match(self._pattern(entity))

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the files, in the declared schema if there is one.

        Raises:
            PipeRunError: the header of CSV files does not fit the declared schema.
        """
        options = self._options(entity)
        reader = self._context.spark.read.format(self.format).options(**options)
        if entity.schema is None:
            return reader.load(self._pattern(entity))
        declared = declared_schema(entity, self._context.spark) or entity.schema
        frame = reader.schema(declared).load(self._pattern(entity))
        if self.format == "csv":
            check_header(entity, frame, options)
        return frame

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create the folder of the files, if there is neither folder nor file nor a pattern.

        Raises:
            EntityError: no schema is declared, and a stream cannot look into files to come.
        """
        if entity.schema is None:
            raise EntityError(
                f"entity {entity.entityid!r}: a stream of {self.format} files needs a declared "
                "schema, because files are yet to come\n  Fix: declare the entity's schema."
            )
        location = self._context.location_of(entity)
        if not self.exists(entity) and literal_path(location) == location:
            self._context.storage.make_folder(location)

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the rows of the files that are there, and of those that come."""
        declared = declared_schema(entity, self._context.spark) or ""
        reader = self._context.spark.readStream.format(self.format).schema(declared)
        options = {**self._options(entity), **read.options}
        return reader.options(**options).load(self._stream_pattern(entity))

    def surely_has_rows(self, entity: EntityMetadata, frame: DataFrame) -> bool:
        """Tell whether the files' first lines show that there are rows."""
        return surely_has_rows(frame, self._options(entity))

    def _options(self, entity: EntityMetadata) -> dict[str, str]:
        defaults = {"header": "true"} if self.format == "csv" else {}
        if entity.schema is not None:
            defaults["mode"] = "FAILFAST"
            if self.format == "csv":
                defaults["enforceSchema"] = "false"
        elif self.format == "csv":
            defaults["inferSchema"] = "true"
        return self._context.options_of(entity, **defaults)

    def _stream_pattern(self, entity: EntityMetadata) -> str:
        """Return where a stream's files are: to Spark a single file is a pattern, or no source."""
        pattern = self._pattern(entity)
        single = self._context.storage.is_file(self._context.location_of(entity))
        if single and pattern[-1].isalnum():
            return f"{pattern[:-1]}[{pattern[-1]}]"
        return pattern

    def _pattern(self, entity: EntityMetadata) -> str:
        """Return where the files are; the tag may hold a pattern, the warehouse does not."""
        location, said = self._context.location_of(entity), str(entity.tags.get(PATH_TAG, ""))
        if is_absolute(said):
            return location
        root = self._context.warehouse.rstrip("/")
        return literal_path(root) + location.removeprefix(root)


class CsvProvider(_SourceFilesProvider):
    """Reads CSV files."""

    format = "csv"


class JsonProvider(_SourceFilesProvider):
    """Reads files of JSON objects, one in each line."""

    format = "json"
