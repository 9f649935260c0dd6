"""Partition columns of tables that others have written: names of folders, and no types.

    zip=01234/  zip=8000/     Spark alone: 1234 and 8000       here: '01234' and '8000'
    n=1/        n=20/                      1 and 20                  1 and 20

Spark guesses a type from the texts. Its guess stands where each value is written back as the very
text that stood there, else the column stays a text. Timestamps always stay texts, because the time
zone that they are of stands nowhere. What the entity declares comes before any guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import date
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql.types import DataType, StringType, StructField, StructType

from kindling_airflow.runner.providers.publishing.sliced_table import partition_values

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage

_LARGEST_PLAIN = 10_000_000.0  # beyond it Java writes a DOUBLE with an exponent
_SMALLEST_PLAIN = 0.001
_MOST_DIGITS = 15  # that a DOUBLE keeps of any number
_PATTERN = re.compile(r"[{}\[\]*?\\]")
_PLAIN_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.(0|\d*[1-9])", re.ASCII)
_WHOLE = ("tinyint", "smallint", "int", "bigint")


def faithful_schema(
    guessed: StructType, files: Iterable[str], declared: StructType | None
) -> StructType:
    """Return a schema in which the names of folders come as what they are."""
    texts: dict[str, set[str]] = {}
    for folder in {path.rpartition("/")[0] for path in files}:
        for name, text in partition_values(folder).items():
            found = texts.setdefault(name, set())
            if text is not None:
                found.add(text)
    wanted = {} if declared is None else {field.name: field.dataType for field in declared}

    def kind_of(field: StructField) -> DataType:
        if field.name not in texts:
            return field.dataType
        if field.name in wanted:
            return wanted[field.name]
        kept = is_written_back(field.dataType.simpleString(), texts[field.name])
        return field.dataType if kept else StringType()

    return StructType([StructField(f.name, kind_of(f), f.nullable, f.metadata) for f in guessed])


def with_kept_texts(
    frame: DataFrame,
    storage: Storage,
    location: str,
    declared: StructType | None,
    load: Callable[[StructType], DataFrame],
) -> DataFrame:
    """Return files of others, with the values in the names of their folders as they are.

    Args:
        frame: what Spark makes of them.
        storage: the files.
        location: their folder, or a pattern.
        declared: what the entity declares; None if nothing.
        load: reads them in a schema.
    """
    root = _PATTERN.split(location, maxsplit=1)[0]
    root = location if root == location else root.rpartition("/")[0]
    found = [uri for uri in one_of_each_folder(frame.inputFiles()) if "=" in uri]
    files = storage.relative_to(root, found) if found else []
    schema = faithful_schema(frame.schema, files, declared)
    return frame if schema == frame.schema else load(schema)


def one_of_each_folder(files: Iterable[str]) -> list[str]:
    """Return one file of each folder; a table has many more files than folders."""
    return list({path.rpartition("/")[0]: path for path in files}.values())


def is_written_back(kind: str, texts: Collection[str]) -> bool:
    """Return whether values of a type are written as the texts that they were read from.

    >>> is_written_back("int", ["1", "-20"]), is_written_back("int", ["1", "020"])
    (True, False)
    """
    return kind == "string" or all(_is_canonical(kind, text) for text in texts)


def _is_canonical(kind: str, text: str) -> bool:
    try:
        if kind in _WHOLE or (kind.startswith("decimal(") and kind.endswith(",0)")):
            return str(int(text)) == text
        if kind == "date":
            return date.fromisoformat(text).isoformat() == text
        if kind == "double":
            size = abs(float(text))
            return (
                _PLAIN_DECIMAL.fullmatch(text) is not None
                and sum(map(str.isdigit, text)) <= _MOST_DIGITS
                and (size == 0 or _SMALLEST_PLAIN <= size < _LARGEST_PLAIN)
            )
    except ValueError:
        return False
    return False
