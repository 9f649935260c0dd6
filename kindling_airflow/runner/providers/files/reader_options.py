"""The options of Spark's readers of text files, which Spark takes in upper and lower case."""

from __future__ import annotations

from collections.abc import Mapping

CORRUPT = "_kindling_corrupt"
"""The column of the records that a lenient reader cannot read."""
LENIENT = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": CORRUPT}


def lowered(options: Mapping[str, str]) -> dict[str, str]:
    """Return options by their names in lower case."""
    return {key.lower(): value for key, value in options.items()}


def separator_of(options: Mapping[str, str]) -> str:
    """Return the separator of the fields of a CSV file; the names are in lower case."""
    return options.get("sep", options.get("delimiter", ",")).replace("\\t", "\t")


def is_utf8(options: Mapping[str, str]) -> bool:
    """Return whether a reader takes files for UTF-8; the names are in lower case."""
    charset = options.get("encoding", options.get("charset", "UTF-8"))
    return charset.upper().replace("_", "-") in ("UTF-8", "UTF8")
