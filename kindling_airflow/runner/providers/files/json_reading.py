"""Reads the JSON files of an entity."""

from __future__ import annotations

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql.types import StringType, StructField, StructType

from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.files.json_records import (
    FILE,
    REASON,
    RECORD,
    json_records,
    rows_of,
)
from kindling_airflow.runner.providers.files.malformed import raising, records_text, refuse
from kindling_airflow.runner.providers.files.reader_options import CORRUPT, LENIENT, is_utf8
from kindling_airflow.runner.providers.files.reading import (
    FileReading,
    fields_without,
    folder_columns,
)
from kindling_airflow.tags.storage_checks import keeps_aside


class JsonReading(FileReading):
    """Record by record, out of the files' text."""

    def defaults(self) -> dict[str, str]:
        """Return no options: what JSON is needs none."""
        return {}

    def rows(self) -> DataFrame:
        """Return the rows of all objects, which have to be what they should be."""
        if self._is_left_to_spark:
            return self._read_by_spark()
        records, fields, folders = self._records()
        if keeps_aside(self.entity):
            return rows_of(records.where(records[REASON].isNull()), fields, folders)
        return rows_of(raising(self.entity, records), fields, folders)

    def malformed(self) -> DataFrame:
        """Return file, reason and record of what is not such an object."""
        records, _, _ = self._records()
        return records.where(records[REASON].isNotNull()).select(FILE, REASON, RECORD)

    def stream(self) -> DataFrame:
        """Return the rows of the objects as they come."""
        declared = self.declared
        if declared is None:
            raise AssertionError("a stream of files has a declared schema")
        if self._is_left_to_spark:
            strict = {"mode": "FAILFAST", **self.options}
            reader = self.spark.readStream.format("json").options(**strict)
            return reader.schema(declared).load(self.pattern)
        folders = self._folders_of_a_stream(declared)
        reader = self.spark.readStream.format("text").options(**self.options)
        lines = (
            reader.option("wholetext", self._whole)
            .schema(_text_schema(declared, folders))
            .load(self.pattern)
        )
        fields = fields_without(declared, folders)
        records = self._records_in(lines, fields, folders)
        return rows_of(raising(self.entity, records), fields, folders)

    def problem(self, error: BaseException) -> str | None:
        """Return which record a read has failed at."""
        return records_text(self.entity, self.spark, error)

    @property
    def _whole(self) -> bool:
        return self.given.get("multiline") == "true"

    @property
    def _charset(self) -> str | None:
        if is_utf8(self.given):
            return None
        return self.given.get("encoding", self.given.get("charset", "")).upper()

    @property
    def _is_left_to_spark(self) -> bool:
        """Whether the entity wants it so, or ends of lines are not to be found byte by byte."""
        charset = self._charset
        return self.is_permissive or (
            charset is not None and charset.startswith("UTF-") and not self._whole
        )

    def _read_by_spark(self) -> DataFrame:
        strict = {"mode": "FAILFAST", **self.options}
        reader = self.spark.read.format("json").options(**strict)
        if self.declared is not None:
            return reader.schema(self.declared).load(self.pattern)
        return self.with_kept_folders(
            reader.load(self.pattern), lambda schema: reader.schema(schema).load(self.pattern)
        )

    def _lines(self, schema: StructType) -> DataFrame:
        return self.text(wholetext=self._whole, schema=schema)

    def _records(self) -> tuple[DataFrame, StructType, tuple[str, ...]]:
        """Return the records, what is in one, and the columns that come from folders."""
        lines = self.text(wholetext=self._whole)
        folders = tuple(folder_columns(lines))
        declared = self.declared
        if declared is None:
            lines = self.with_kept_folders(lines, self._lines)
        elif folders:
            found = {field.name: field for field in lines.schema}
            known = {field.name.casefold(): field for field in declared}
            typed = [known.get(name.casefold(), found[name]) for name in folders]
            folders = tuple(field.name for field in typed)
            schema = _text_schema(type(declared)(typed), folders)
            lines = self._lines(schema)
        fields = self._inferred() if declared is None else declared
        fields = fields_without(fields, folders)
        return self._records_in(lines, fields, folders), fields, folders

    def _records_in(
        self, lines: DataFrame, fields: StructType, folders: tuple[str, ...]
    ) -> DataFrame:
        return json_records(lines, fields, self.options, folders=folders, charset=self._charset)

    def _inferred(self) -> StructType:
        """Return what is in the files' objects.

        Raises:
            PipeRunError: keys differ by case alone, or nothing in the files can be read.
        """
        reader = self.spark.read.format("json").options(**{**self.options, **LENIENT})
        try:
            schema = reader.load(self.pattern).schema
        except AnalysisException as error:
            if error.getCondition() != "COLUMN_ALREADY_EXISTS":
                raise
            name = (error.getMessageParameters() or {}).get("columnName", "")
            raise PipeRunError(
                f"entity {self.entity.entityid!r}: an object has the key {name} twice, or in upper "
                "and lower case\n  Fix: rewrite the files."
            ) from error
        fields = fields_without(schema, [CORRUPT])
        if CORRUPT in schema.names and not keeps_aside(self.entity):
            lines = self.text(wholetext=self._whole)
            folders = tuple(folder_columns(lines))
            records = self._records_in(lines, fields_without(fields, folders), folders)
            refuse(self.entity, records.where(records[REASON].isNotNull()))
        return fields

    def _folders_of_a_stream(self, declared: StructType) -> tuple[str, ...]:
        """Return the declared columns that are in the names of folders, as far as that is known."""
        named = {name.casefold() for name in self.entity.partition_columns}
        if self.context.storage.any_match(self.pattern):
            named |= {name.casefold() for name in folder_columns(self.text())}
        return tuple(name for name in declared.names if name.casefold() in named)


def _text_schema(declared: StructType, folders: tuple[str, ...]) -> StructType:
    wanted = [StructField(f.name, f.dataType) for f in declared if f.name in folders]
    return StructType([StructField("value", StringType()), *wanted])
