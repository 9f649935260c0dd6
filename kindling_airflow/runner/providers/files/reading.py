"""One reading of a source's text files: what all formats share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.runner.providers.files.folder_types import with_kept_texts
from kindling_airflow.runner.providers.files.reader_options import lowered
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.schema.differences import declared_schema


class FileReading(ABC):
    """The files of one entity, as they are to be read in one run.

    Attributes:
        options: of Spark's reader, as given; subclasses add their defaults.
    """

    def __init__(
        self,
        context: ProviderContext,
        entity: EntityMetadata,
        pattern: str,
        options: Mapping[str, str],
    ) -> None:
        self.context, self.entity, self.pattern = context, entity, pattern
        self.given = lowered(options)
        own = {k: v for k, v in self.defaults().items() if k.lower() not in self.given}
        self.options = {**own, **options}
        self.spark = context.spark

    def option(self, name: str, default: str = "") -> str:
        """Return an option's value in lower case, whatever the case of its name."""
        return lowered(self.options).get(name.lower(), default).lower()

    @property
    def is_permissive(self) -> bool:
        """Whether the entity wants the files as Spark alone reads them."""
        return self.given.get("mode", "").upper() == "PERMISSIVE"

    @cached_property
    def declared(self) -> StructType | None:
        """The declared schema."""
        return declared_schema(self.entity)

    @abstractmethod
    def defaults(self) -> dict[str, str]:
        """Return options of Spark's reader where the entity sets none."""

    @abstractmethod
    def rows(self) -> DataFrame:
        """Return the rows."""

    @abstractmethod
    def malformed(self) -> DataFrame:
        """Return file, reason and record of what cannot be a row."""

    @abstractmethod
    def stream(self) -> DataFrame:
        """Return the rows as a stream; a schema is declared."""

    @abstractmethod
    def problem(self, error: BaseException) -> str | None:
        """Return which record an error is about; None if it is not about one of these files."""

    def text(self, *, wholetext: bool = False, schema: StructType | None = None) -> DataFrame:
        """Return the files as text; the schema has the columns that come from folders, too."""
        reader = self.spark.read.format("text").options(**self.options)
        reader = reader.option("wholetext", wholetext)
        return (reader if schema is None else reader.schema(schema)).load(self.pattern)

    def with_kept_folders(
        self, frame: DataFrame, again: Callable[[StructType], DataFrame]
    ) -> DataFrame:
        """Return a plain read, with the names of folders as they are where no type is declared."""
        location = self.context.location_of(self.entity)
        return with_kept_texts(frame, self.context.storage, location, None, again)


def folder_columns(frame: DataFrame) -> list[str]:
    """Return the columns of a plain read that come from the names of folders."""
    plan: Any = frame._jdf.queryExecution().analyzed()
    return list(plan.relation().partitionSchema().fieldNames())


def fields_without(schema: StructType, names: Iterable[str]) -> StructType:
    """Return a new schema without the columns of these names, in any case."""
    gone = {name.casefold() for name in names}
    return StructType([field for field in schema if field.name.casefold() not in gone])
