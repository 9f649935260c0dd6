"""CSV and JSON files as sources: read, never written.

Nothing is trusted: the columns of CSV files belong together by the names in their headers, and a
record that cannot be read as it is fails the pipe, or is kept aside (``provider.malformed``). Spark
alone would map columns by position, and make nulls of what does not fit. ``provider.option.*`` tags
come before the defaults; with ``mode: PERMISSIVE`` the files are read as Spark alone reads them.

As a stream, each file is taken in once, when it is there: it has to come into its place as a whole,
by a rename.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError
from kindling_airflow.runner.providers.files.csv_reading import CsvReading
from kindling_airflow.runner.providers.files.json_reading import JsonReading
from kindling_airflow.runner.providers.files.malformed import keep_aside
from kindling_airflow.runner.providers.files.row_peek import surely_has_rows
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    StreamRead,
)
from kindling_airflow.runner.providers.storage import literal_path
from kindling_airflow.tags.names import PATH_TAG
from kindling_airflow.tags.paths import is_absolute
from kindling_airflow.tags.storage_checks import keeps_aside

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.files.reading import FileReading


class _SourceFilesProvider:
    """Reads one format of text files; ``provider.path`` may hold Hadoop's glob characters."""

    format: str
    reading: type[FileReading]

    def __init__(self, context: ProviderContext) -> None:
        self._context = context

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return the path or pattern of the files."""
        return EntityDescription(self._context.location_of(entity), self.format)

    def exists(self, entity: EntityMetadata) -> bool:
        """Return whether a file is there; with a declared schema, an empty folder will do."""
        pattern, storage = self._pattern(entity), self._context.storage
        if entity.schema is not None:
            return storage.any_match(pattern)
        return storage.any_data(pattern)

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Return the rows of the files, in the declared schema if there is one.

        Raises:
            PipeRunError: the header of a CSV file does not fit, or lines would be misread.
        """
        return self._reading(entity).rows()

    def set_aside(self, entity: EntityMetadata, instance: str) -> str:
        """Keep the records aside that cannot be read, and return a note; "" if there are none.

        Only where the entity is declared so.
        """
        if not keeps_aside(entity):
            return ""
        return keep_aside(entity, self._context, instance, self._reading(entity).malformed)

    def make_ready(self, entity: EntityMetadata) -> None:
        """Create the folder of the files, if there is neither folder nor file nor a pattern.

        Raises:
            EntityError: no schema is declared, and a stream cannot look into files to come.
        """
        if entity.schema is None:
            raise EntityError(
                f"entity {entity.entityid!r}: a stream of {self.format} files needs a declared "
                "schema, because there may be no files yet\n  Fix: declare the entity's schema."
            )
        location = self._context.location_of(entity)
        if not self.exists(entity) and literal_path(location) == location:
            self._context.storage.make_folder(location)

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the rows of the files that are there, and of those that come."""
        reading = self._reading(entity, self._stream_pattern(entity), read)
        return reading.stream()

    def surely_has_rows(self, entity: EntityMetadata, frame: DataFrame) -> bool:
        """Return whether the files' first lines show that there are rows."""
        if keeps_aside(entity):
            return False
        return surely_has_rows(frame, self._reading(entity).options)

    def read_problem(self, entity: EntityMetadata, error: BaseException) -> str | None:
        """Return which record of the files it was that an error is about; None if it is not."""
        try:
            return self._reading(entity).problem(error)
        except Exception:  # the files may be gone by now: then the error has to speak for itself
            return None

    def stream_problem(self, entity: EntityMetadata, error: Exception) -> str | None:
        """Return the same of a query that the files drive."""
        return self.read_problem(entity, error)

    def _reading(
        self, entity: EntityMetadata, pattern: str = "", read: StreamRead | None = None
    ) -> FileReading:
        options = {**self._context.options_of(entity), **(read.options if read else {})}
        return self.reading(self._context, entity, pattern or self._pattern(entity), options)

    def _stream_pattern(self, entity: EntityMetadata) -> str:
        """Return where a stream's files are: to Spark a single file is a pattern, or no source."""
        pattern = self._pattern(entity)
        single = self._context.storage.is_file(self._context.location_of(entity))
        if single and pattern[-1].isalnum():
            return f"{pattern[:-1]}[{pattern[-1]}]"
        return pattern

    def _pattern(self, entity: EntityMetadata) -> str:
        """Return where the files are; the tag may hold a pattern, the warehouse does not."""
        location, tagged = self._context.location_of(entity), str(entity.tags.get(PATH_TAG, ""))
        if is_absolute(tagged):
            return location
        root = self._context.warehouse.rstrip("/")
        return literal_path(root) + location.removeprefix(root)


class CsvProvider(_SourceFilesProvider):
    """Reads CSV files."""

    format = "csv"
    reading = CsvReading


class JsonProvider(_SourceFilesProvider):
    """Reads files of JSON objects, one in each line."""

    format = "json"
    reading = JsonReading
