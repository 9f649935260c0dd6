"""Finds out whether text files have a row, by their first lines where those are enough.

Asking Spark is a job of half a second in a small driver, before the pipe has done anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame

from kindling_airflow.runner.providers.files.lines import beginning
from kindling_airflow.runner.providers.files.reader_options import lowered

_MOST_FILES = 4
_PLAIN_FILES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson")
# Options that leave it at: a line that is not blank is a row, behind the header if there is one.
_HARMLESS = {
    *("header", "inferschema", "enforceschema", "sep", "delimiter", "quote", "escape"),
    *("nullvalue", "emptyvalue", "nanvalue", "dateformat", "timestampformat", "samplingratio"),
    *("ignoreleadingwhitespace", "ignoretrailingwhitespace", "locale", "mode"),
    *("columnpruning", "unescapedquotehandling", "columnnameofcorruptrecord"),
}


def surely_has_rows(frame: DataFrame, options: Mapping[str, str]) -> bool:
    """Return whether a plain read of CSV or JSON files has rows for sure; if not, ask Spark."""
    given = lowered(options)
    if not given.keys() <= _HARMLESS or given.get("mode", "").lower() == "dropmalformed":
        return False
    before = 1 if given.get("header", "").lower() == "true" else 0
    for name in frame.inputFiles()[:_MOST_FILES]:
        if name.lower().endswith(_PLAIN_FILES):
            lines = [line for line in beginning(frame, name).splitlines() if line.strip()]
            if len(lines) > before:
                return True
    return False
