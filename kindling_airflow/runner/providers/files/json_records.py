"""JSON files, read as text and taken apart record by record, so that nothing of them gets lost.

Spark's own reader makes rows of nulls of lines that it cannot read, leaves out keys whose case is
another than declared, and takes nothing but the first of several objects in a line or in a file.
Here each record is a row or has a reason why it is none.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from kindling_airflow.runner.providers.files.key_spelling import respelled_key
from kindling_airflow.runner.providers.files.reader_options import CORRUPT, LENIENT
from kindling_airflow.runner.schema.differences import nullable, quoted

FILE, RECORD, REASON = "_kindling_file", "_kindling_record", "_kindling_reason"
_ROW = "_kindling_row"
_MARK = "\ufeff"  # what a file may begin with
_BLANKS = " \t\r\n"


def json_records(
    lines: DataFrame,
    fields: StructType,
    options: Mapping[str, str],
    *,
    folders: tuple[str, ...] = (),
    charset: str | None = None,
) -> DataFrame:
    """Return the records of text files, with the reason why one cannot be a row."""
    text = F.col("value")
    if charset is not None:
        text = F.decode(text.cast("binary"), charset)
    text = F.ltrim(text, F.lit(_MARK))
    wanted = StructType([*nullable(fields), StructField(CORRUPT, StringType())])
    own = {key: value for key, value in options.items() if key.lower() not in ("mode", "encoding")}
    lenient = {**own, **LENIENT}
    # The elements as texts: of an array of structs, Spark does not report what it could not read.
    pieces = F.when(
        F.ltrim(text, F.lit(_BLANKS)).startswith("["), F.from_json(text, "ARRAY<STRING>", own)
    )
    each = F.transform(
        F.coalesce(pieces, F.array(text)),
        lambda piece: F.struct(
            piece.alias("text"), F.from_json(piece, wanted, lenient).alias("fields")
        ),
    )
    # "outer", because Spark would look beforehand, by parsing twice, whether there is an element.
    taken = lines.where(F.btrim(text, F.lit(_BLANKS)) != "").select(
        *map(quoted, folders),
        F.col("value").alias(RECORD),
        F.col("_metadata.file_path").alias(FILE),
        text.alias("_kindling_text"),
        F.explode_outer(each).alias(_ROW),
    )
    piece, row = F.col(f"{_ROW}.text"), F.col(f"{_ROW}.fields")
    whole = F.col("_kindling_text")
    readable = F.lit(True) if charset is not None else F.is_valid_utf8(F.col(RECORD))
    is_row = row.isNotNull() & row.getField(CORRUPT).isNull()
    reason = (
        F.when(~readable, F.lit("has bytes that are not UTF-8"))
        .when(~is_one_value(whole, is_row, own), F.lit("is not one valid JSON value"))
        .when(~is_row, F.lit("is not an object of these columns and types"))
    )
    if len(fields):
        key = respelled_key(piece, row, nullable(fields))
        reason = reason.otherwise(
            F.concat(F.lit("has the key '"), key, F.lit("', declared in different case"))
        )
    return taken.where(F.col(_ROW).isNotNull()).select("*", reason.alias(REASON))


def is_one_value(
    text: Column, is_object: Column, options: Mapping[str, str] | None = None
) -> Column:
    """Return whether a text is one JSON value; a null is not.

    A text that begins with an object, and whose first closing brace is its last character, is that
    object: nothing has to be parsed again. Any other one is parsed as the elements of an array.
        They are counted first, which is quick; what only a reader's options make valid has to be
        read.

    Args:
        text: the text.
        is_object: whether an object was read from its beginning.
        options: of Spark's JSON reader.
    """
    trimmed = F.rtrim(text, F.lit(_BLANKS))
    is_flat = is_object & (F.locate("}", trimmed) == F.char_length(trimmed))
    elements = F.concat(F.lit("["), text, F.lit("\n]"))  # it may end with a comment
    read = F.from_json(elements, "ARRAY<STRING>", dict(options or {}))
    one = F.lit(1)
    counted = F.json_array_length(elements).eqNullSafe(one) | F.size(read).eqNullSafe(one)
    return F.coalesce(is_flat, F.lit(False)) | counted


def rows_of(records: DataFrame, fields: StructType, folders: tuple[str, ...]) -> DataFrame:
    """Return the rows that records are."""
    return records.select(
        *(F.col(f"{_ROW}.fields.{quoted(f.name)}").alias(f.name) for f in fields),
        *map(quoted, folders),
    )
