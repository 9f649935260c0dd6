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
from kindling_airflow.runner.schema.differences import quoted

REPLACED = "\ufffd"
_END = "kindling-end"
_CORRUPT = "_kindling_corrupt"
_OF_QUOTES = (
    *("quote", "escape", "chartoescapequoteescaping"),
    *("ignoreleadingwhitespace", "ignoretrailingwhitespace", "maxcolumns", "maxcharspercolumn"),
)


def is_utf8(options: Mapping[str, str]) -> bool:
    """Return whether a reader takes files for UTF-8."""
    lowered = {key.lower(): value for key, value in options.items()}
    charset = lowered.get("encoding", lowered.get("charset", "UTF-8"))
    return charset.upper().replace("_", "-") in ("UTF-8", "UTF8")


def misread_lines(
    lines: DataFrame, options: Mapping[str, str], width: int, *, only_silent: bool = False
) -> DataFrame:
    """Return the lines of files that Spark would misread, with the reason.

    ``only_silent`` leaves out lines that the reader itself reports as malformed.
    """
    lowered = {key.lower(): value for key, value in options.items()}
    value = F.col("value")
    reason = F.when(F.lit(False), F.lit(""))
    if is_utf8(options) and not only_silent:
        reason = F.when(~F.is_valid_utf8(value), F.lit("has bytes that are not UTF-8")).when(
            F.contains(value, F.lit("\0")),
            F.lit("has NUL bytes, and is probably UTF-16, not UTF-8"),
        )
    quote, separator = lowered.get("quote", '"'), _separator(lowered)
    comment = lowered.get("comment", "")
    if quote and separator and lowered.get("multiline") != "true":
        names = [f"c{n}" for n in range(width)]
        columns = ", ".join(f"{name} STRING" for name in [*names, "last", _CORRUPT])
        plain = ", ".join(f"{name} STRING" for name in [*names, _CORRUPT])
        own = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _CORRUPT}
        own |= {key: lowered[key] for key in _OF_QUOTES if key in lowered}
        ended = F.concat(value, F.lit(separator + _END))
        parsed = F.from_csv(ended, columns, {**own, "sep": separator})
        is_line = F.contains(value, F.lit(quote))
        if comment:
            is_line = is_line & ~value.startswith(comment)
        text = "leaves a quote open, or has a different number of columns"
        is_open = ~parsed.getField("last").eqNullSafe(_END)
        if only_silent:
            read = F.from_csv(value, plain, {**own, "sep": separator})
            is_open = is_open & read.getField(_CORRUPT).isNull()
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


def _separator(lowered: Mapping[str, str]) -> str:
    text = lowered.get("sep", lowered.get("delimiter", ","))
    text = text.replace("\\t", "\t")
    return "" if "\\" in text else text
