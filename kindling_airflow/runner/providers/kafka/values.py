"""Rows from records and records from rows.

| value_format | a row, read | a row, written |
|---|---|---|
| json | the declared columns, from the record's value | the value; one column may be the key |
| raw | key, value, topic, partition, offset, timestamp | value; key, partition, headers if there |

A value that is not JSON of the declared schema, or missing, fails the query, is left out, or is
kept as a row whose ``_corrupt_record`` has the text.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.files.json_records import is_one_value
from kindling_airflow.runner.providers.files.key_spelling import respelled_key
from kindling_airflow.runner.schema.differences import (
    arranged,
    declared_schema,
    nullable,
    quoted,
)
from kindling_airflow.tags.kafka import CORRUPT_COLUMN, malformed_of, value_format_of
from kindling_airflow.tags.names import KEY_TAG

_RAW = ("key", "value", "topic", "partition", "offset", "timestamp")
_WRITTEN = ("key", "value", "partition", "headers")
_PARSED = "kindling_parsed"
_MICROSECONDS = {
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
}


def rows_of(entity: EntityMetadata, records: DataFrame) -> DataFrame:
    """Return the rows of records, as Spark reads them.

    Raises:
        DeclarationError: the declared schema is not valid Spark DDL.
    """
    if value_format_of(entity) == "raw":
        names = [*_RAW, *(["headers"] if "headers" in records.columns else [])]
        return records.select(*names)
    declared = declared_schema(entity)
    if declared is None:
        raise AssertionError("the tags were checked")
    fields = [field for field in declared if field.name != CORRUPT_COLUMN]
    wanted = StructType([*fields, StructField(CORRUPT_COLUMN, StringType())])
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT_COLUMN}
    parsed = F.from_json(F.col("value").cast("string"), wanted, options)
    rows = records.select("*", parsed.alias(_PARSED))
    text, parsed_value = F.col("value").cast("string"), F.col(_PARSED)
    misfit = parsed_value.isNull() | F.col(f"{_PARSED}.{CORRUPT_COLUMN}").isNotNull()
    declared_fields = nullable(StructType(fields))
    # Spark would leave out keys in other case, replace bytes, and take the first of two objects.
    malformed = (
        misfit
        | ~F.is_valid_utf8(text)
        | ~is_one_value(text, ~misfit)
        | respelled_key(text, parsed_value, declared_fields).isNotNull()
    )
    handling = malformed_of(entity)
    if handling == "fail":
        rows = rows.where(_failing(entity, malformed))
    elif handling == "drop":
        rows = rows.where(~malformed)
    columns = [F.col(f"{_PARSED}.{quoted(field.name)}").alias(field.name) for field in fields]
    if handling == "keep":
        kept = F.coalesce(F.col(f"{_PARSED}.{CORRUPT_COLUMN}"), text, F.lit(""))
        columns.append(F.when(malformed, kept).alias(CORRUPT_COLUMN))
    return arranged(rows.select(*columns), declared)


def records_of(entity: EntityMetadata, rows: DataFrame) -> DataFrame:
    """Return the records of rows, as Spark writes them.

    Raises:
        PipeRunError: the rows have no column of which a record could be made.
    """
    where = f"entity {entity.entityid!r}"
    if value_format_of(entity) == "raw":
        strange = [name for name in rows.columns if name not in _WRITTEN]
        if "value" not in rows.columns or strange:
            raise PipeRunError(
                f"{where}: a record has the columns {', '.join(_WRITTEN)}, and of these "
                f"'value' is required; the result has {', '.join(rows.columns)}\n"
                "  Fix: return these columns, or declare the entity's schema: then each row "
                "becomes a JSON object."
            )
        return rows
    value = F.to_json(F.struct(*map(quoted, rows.columns)), _MICROSECONDS).alias("value")
    key = entity.tags.get(KEY_TAG)
    if key is None:
        return rows.select(value)
    if key not in rows.columns:
        raise PipeRunError(
            f"{where}: the result has no column {key!r}, the key of its records\n"
            f"  Fix: correct the tag {KEY_TAG}, or the pipe's result."
        )
    return rows.select(F.col(quoted(str(key))).cast("string").alias("key"), value)


def _failing(entity: EntityMetadata, malformed: Column) -> Column:
    message = F.concat(
        F.lit(f"entity {entity.entityid!r}: a record of topic "),
        *(F.col("topic"), F.lit(", partition "), F.col("partition").cast("string")),
        *(F.lit(", offset "), F.col("offset").cast("string")),
        F.lit(
            ", is not a JSON object of the declared schema\n  Fix: correct its producer or the "
            "schema; or drop such records (provider.malformed: drop), or keep them "
            "(provider.malformed: keep)."
        ),
    )
    return F.when(malformed, F.raise_error(message).cast("boolean")).otherwise(F.lit(True))
