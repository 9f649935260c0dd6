"""Finds lines of CSV files that Spark would misread silently.

A value that goes over several lines makes of one row two, which have the right number of fields if
it holds separators as well; and bytes that are not UTF-8 become U+FFFD. Both can be seen in a line
alone: one more field is added to its end, which an open quote swallows.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from kindling_airflow.runner.providers.files.json_records import FILE, REASON, RECORD
from kindling_airflow.runner.providers.files.reader_options import (
    CORRUPT,
    LENIENT,
    is_utf8,
    lowered,
    separator_of,
)
from kindling_airflow.runner.schema.differences import quoted

REPLACED = "\ufffd"
_END = "kindling-end"
_OF_QUOTES = (
    *("quote", "escape", "chartoescapequoteescaping"),
    *("ignoreleadingwhitespace", "ignoretrailingwhitespace", "maxcolumns", "maxcharspercolumn"),
)


def misread_lines(
    lines: DataFrame, options: Mapping[str, str], width: int, *, only_silent: bool = False
) -> DataFrame:
    """Return the lines of files that Spark would misread, with the reason.

    Args:
        lines: Spark's reading of them as text.
        options: of Spark's CSV reader.
        width: the number of columns.
        only_silent: leave out lines of which the reader itself says that they are malformed.
    """
    given, value = lowered(options), F.col("value")
    reason = F.when(F.lit(False), F.lit(""))
    if is_utf8(given) and not only_silent:
        reason = F.when(~F.is_valid_utf8(value), F.lit("has bytes that are not UTF-8")).when(
            F.contains(value, F.lit("\0")),
            F.lit("has NUL bytes, and is probably UTF-16, not UTF-8"),
        )
    quote, separator = given.get("quote", '"'), separator_of(given)
    comment = given.get("comment", "")
    if quote and "\\" not in separator and given.get("multiline") != "true":
        names = [f"c{n}" for n in range(width)]
        columns = ", ".join(f"{name} STRING" for name in [*names, "last", CORRUPT])
        plain = ", ".join(f"{name} STRING" for name in [*names, CORRUPT])
        own = {**LENIENT, **{key: given[key] for key in _OF_QUOTES if key in given}}
        ended = F.concat(value, F.lit(separator + _END))
        parsed = F.from_csv(ended, columns, {**own, "sep": separator})
        is_line = F.contains(value, F.lit(quote))
        if comment:
            is_line = is_line & ~value.startswith(comment)
        text = "leaves a quote open, or has a different number of columns"
        is_open = ~parsed.getField("last").eqNullSafe(_END)
        if only_silent:
            read = F.from_csv(value, plain, {**own, "sep": separator})
            is_open = is_open & read.getField(CORRUPT).isNull()
        reason = reason.when(is_line & is_open, F.lit(text))
    return lines.select(
        F.col("_metadata.file_path").alias(FILE), reason.alias(REASON), value.alias(RECORD)
    ).where(F.col(REASON).isNotNull())


def has_replaced(frame: DataFrame) -> Column:
    """Return whether a row has a text in which bytes have been replaced."""
    found = F.lit(False)
    for name, kind in frame.dtypes:
        if kind == "string":
            found = found | F.coalesce(
                F.contains(F.col(quoted(name)), F.lit(REPLACED)), F.lit(False)
            )
    return found
