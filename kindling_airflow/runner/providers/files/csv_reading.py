"""Reads the CSV files of an entity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.files.csv_header import check_headers
from kindling_airflow.runner.providers.files.csv_lines import (
    REPLACED,
    has_replaced,
    misread_lines,
)
from kindling_airflow.runner.providers.files.csv_problems import Found, stray_quotes, unread_lines
from kindling_airflow.runner.providers.files.json_records import FILE, REASON, RECORD
from kindling_airflow.runner.providers.files.malformed import (
    malformed_text,
    raising,
    records_text,
    refuse,
)
from kindling_airflow.runner.providers.files.reader_options import CORRUPT, LENIENT, is_utf8
from kindling_airflow.runner.providers.files.reading import (
    FileReading,
    fields_without,
    folder_columns,
)
from kindling_airflow.runner.schema.differences import quoted
from kindling_airflow.tags.storage_checks import keeps_aside

_WIDE = ("UTF-16", "UTF-32", "UTF16", "UTF32")


class CsvReading(FileReading):
    """By Spark's CSV reader, whose files are looked at beforehand."""

    def defaults(self) -> dict[str, str]:
        """Return options under which Spark refuses what it cannot read."""
        defaults = {
            "header": "true",
            # A row that has too few or too many fields is none, whichever of them are wanted.
            "columnPruning": "false",
            "enforceSchema": "false",
        }
        if self.entity.schema is None:
            defaults["inferSchema"] = "true"
        if self.given.get("encoding", "").upper().startswith(_WIDE):
            defaults["multiLine"] = "true"  # Spark would look for the ends of lines byte by byte
        if keeps_aside(self.entity):
            return {**defaults, **LENIENT}
        if self.given.get("mode", "").upper() != "PERMISSIVE":
            defaults |= {"mode": "FAILFAST", "unescapedQuoteHandling": "RAISE_ERROR"}
        return defaults

    def rows(self) -> DataFrame:
        """Return the rows, if no header and no line is in the way of them."""
        frame = self._checked()
        if self.is_permissive:
            return frame
        if keeps_aside(self.entity):
            rows = frame.where(frame[CORRUPT].isNull() & ~has_replaced(frame.drop(CORRUPT)))
            return rows.drop(CORRUPT)
        return frame if is_utf8(self.given) else self._without_replaced(frame)

    def malformed(self) -> DataFrame:
        """Return file, reason and record of lines that are no rows."""
        frame = self._checked()
        corrupt = frame[CORRUPT].isNotNull()
        bad = corrupt | has_replaced(frame.drop(CORRUPT))
        reason = F.when(corrupt, F.lit("does not fit the columns and types")).otherwise(
            F.lit("has bytes that are not UTF-8")
        )
        # Beside the record, because Spark does not read it alone.
        values = F.to_json(F.struct(*map(quoted, frame.drop(CORRUPT).columns)))
        return frame.where(bad).select(
            F.col("_metadata.file_path").alias(FILE),
            reason.alias(REASON),
            F.col(CORRUPT).alias(RECORD),
            values.alias("values"),
        )

    def stream(self) -> DataFrame:
        """Return the rows as they come."""
        reader = self.spark.readStream.format("csv").schema(self.declared or "")
        frame = reader.options(**self.options).load(self.pattern)
        return frame if self.is_permissive else self._without_replaced(frame)

    def problem(self, error: BaseException) -> str | None:
        """Return what is wrong with which line of the file at which a read has failed."""
        text = records_text(self.entity, self.spark, error)
        if text is not None:
            return text
        messages = [str(java.getMessage()) for java in java_causes(error)]
        files = self.text().inputFiles()
        names = [name for name in _failed_files(error) if name in files]
        header = next((m for m in messages if "CSV header" in m), None)
        if names and header is not None:
            listed = "\n".join(f"  - {line.strip()}" for line in header.splitlines()[1:3])
            return (
                f"entity {self.entity.entityid!r}: the header of {names[0]!r} does not fit its "
                f"columns\n{listed}\n  Fix: correct the declared schema, or rewrite the file."
            )
        if any("Unescaped quote" in message for message in messages):
            return self._first(
                names or files, lambda name: stray_quotes(self.spark, name, self.options)
            )
        if names and any("MALFORMED_RECORD" in message for message in messages):
            return self._first(names, self._unread_lines)
        return None

    def _first(self, names: list[str], look: Callable[[str], Found]) -> str | None:
        """Return what is wrong with the first of some files in which it is found."""
        found = next(filter(None, map(look, names)), None)
        return malformed_text(self.entity, self.spark, found) if found else None

    def _unread_lines(self, name: str) -> Found:
        lenient = {**self.options, "mode": "PERMISSIVE", "enforceSchema": "true"}
        reader = self.spark.read.format("csv").options(**lenient)
        if self.declared is not None:
            reader = reader.schema(self.declared)
        frame = reader.load(self.pattern)
        schema = fields_without(frame.schema, folder_columns(frame))
        return unread_lines(self.spark, name, schema, self.options)

    def _frame(self, *, infers_by_file: bool = False) -> DataFrame:
        """Return Spark's read of the files.

        Args:
            infers_by_file: take types from each file without its header. Spark takes a header that
                is written in another way than the first one for a row of texts, unless it reads
                files as wholes.
        """
        declared = self.declared
        if declared is None:
            defaults = {**self.options, **({"multiLine": "true"} if infers_by_file else {})}
            plain = self.spark.read.format("csv").options(**defaults).load(self.pattern)
            if not keeps_aside(self.entity) and not infers_by_file:
                return self.with_kept_folders(plain, self._in_schema)
            schema = fields_without(plain.schema, [CORRUPT, *folder_columns(plain)])
            if keeps_aside(self.entity):
                schema = schema.add(CORRUPT, "string")
            return self.with_kept_folders(self._in_schema(schema), self._in_schema)
        if keeps_aside(self.entity):
            return self._in_schema(fields_without(declared, []).add(CORRUPT, "string"))
        return self._in_schema(declared)

    def _in_schema(self, schema: StructType) -> DataFrame:
        reader = self.spark.read.format("csv").options(**self.options)
        return reader.schema(schema).load(self.pattern)

    def _checked(self) -> DataFrame:
        try:
            frame = self._frame()
        except Exception as error:
            text = self.problem(error) if self.declared is None else None
            if text is None:
                raise
            raise PipeRunError(text) from error
        folders = {name.casefold() for name in folder_columns(frame)}
        columns = [c for c in frame.columns if c.casefold() not in folders and c != CORRUPT]
        if self.option("header") == "true" and self.option("enforceSchema") == "false":
            declared = columns if self.declared is not None else []
            headers = check_headers(self.entity, frame, self.options, declared)
            if headers.are_known and not declared:
                # Spark gives names to columns that have none, and would look for them in the files.
                self.options["enforceSchema"] = "true"
                frame = self._frame(infers_by_file=not headers.are_alike)
        if not self.is_permissive and not self.given.get("encoding", "").upper().startswith(_WIDE):
            found = misread_lines(
                self.text(), self.options, len(columns), only_silent=keeps_aside(self.entity)
            )
            refuse(self.entity, found)
        return frame

    def _without_replaced(self, frame: DataFrame) -> DataFrame:
        """Return rows that fail where bytes were not what the encoding has."""
        reason = F.when(has_replaced(frame), F.lit(f"has bytes that became {REPLACED!r}"))
        records = frame.select(
            "*",
            F.col("_metadata.file_path").alias(FILE),
            reason.alias(REASON),
            F.lit("").alias(RECORD),
        )
        return raising(self.entity, records).select(*map(quoted, frame.columns))


def _failed_files(error: BaseException) -> Iterator[str]:
    """Yield the files at which Spark reports a failure."""
    for java in java_causes(error):
        family: Any = java.getClass()
        if "SparkException" in str(family.getName()) and java.getCondition() is not None:
            parameters = java.getMessageParameters()
            if str(java.getCondition()).startswith("FAILED_READ_FILE"):
                yield str(parameters.get("path"))
