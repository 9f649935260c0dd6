"""Finds the lines of a CSV file at which Spark has failed, after the failure."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from kindling_airflow.runner.providers.files.lines import digest_of, lines_of, plain_path
from kindling_airflow.runner.providers.files.malformed import EXAMPLES
from kindling_airflow.runner.providers.files.reader_options import (
    CORRUPT,
    LENIENT,
    lowered,
    separator_of,
)
from kindling_airflow.runner.providers.files.reading import fields_without
from kindling_airflow.runner.providers.storage import literal_path

_MISFIT = "does not fit the columns and types (MALFORMED_RECORD_IN_PARSING)"

Found = list[tuple[str, str, str]]


def unread_lines(
    session: SparkSession, name: str, schema: StructType, options: Mapping[str, str]
) -> Found:
    """Return the first lines of a file that are no rows of a schema: file, digest and reason."""
    strict = ("mode", "enforceschema", "unescapedquotehandling", "columnnameofcorruptrecord")
    lenient = {k: v for k, v in options.items() if k.lower() not in strict}
    lenient |= {**LENIENT, "enforceSchema": "true"}
    wanted = fields_without(schema, [CORRUPT]).add(CORRUPT, "string")
    place = literal_path(plain_path(session, name))
    frame = session.read.schema(wanted).options(**lenient).format("csv").load(place)
    # All columns are read: Spark does not read the malformed records alone.
    rows = frame.where(F.col(CORRUPT).isNotNull()).limit(EXAMPLES).collect()
    return [(name, digest_of(row[CORRUPT].encode()), _MISFIT) for row in rows]


def stray_quotes(session: SparkSession, name: str, options: Mapping[str, str]) -> Found:
    """Return the first lines of a file that have a quote within quotes."""
    given = lowered(options)
    separator = separator_of(given)
    quote, escape = given.get("quote", '"'), given.get("escape", "\\")
    found: Found = []
    for line in lines_of(session, name):
        text = line.decode("utf-8", errors="replace")
        if has_stray_quote(text, separator, quote, escape):
            reason = "has an unescaped quote within a quoted value"
            found.append((name, digest_of(line), reason))
        if len(found) == EXAMPLES:
            break
    return found


def has_stray_quote(line: str, separator: str, quote: str, escape: str) -> bool:
    r"""Return whether a quoted value goes on behind its closing quote.

    >>> has_stray_quote('1,"a ""b"" c"', ",", '"', "\\")
    True
    >>> has_stray_quote('1,"a ""b"" c"', ",", '"', '"')
    False
    >>> has_stray_quote('1,"a \\"b\\" c" ,5" disk', ",", '"', "\\")
    False
    """
    at, is_start = 0, True
    while at < len(line):
        if is_start and line[at:].lstrip(" ").startswith(quote):
            at = line.index(quote, at) + 1
            while at < len(line):
                if line.startswith(escape + quote, at) and len(line) > at + 1:
                    at += 2
                elif line[at] == quote:
                    break
                else:
                    at += 1
            rest = line[at + 1 :].lstrip(" ")
            if rest and not rest.startswith(separator):
                return True
            at = len(line) - len(rest)
            is_start = False
        elif line.startswith(separator, at):
            at, is_start = at + len(separator), True
        else:
            at, is_start = at + 1, False
    return False
