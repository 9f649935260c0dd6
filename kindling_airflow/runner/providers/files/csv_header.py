"""Compares the headers of CSV files with the declared columns, or with each other, by name.

Spark finds it out as well, file by file, in the middle of a job. Where the number of columns has
changed it reports the two numbers alone, and that as a failure to read a file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.files.lines import beginning
from kindling_airflow.runner.providers.files.reader_options import lowered, separator_of

_MOST_FILES = 1000
_MOST_SHOWN = 3
# Options under which a header is not what Python takes for one, or not to be looked at.
_OTHERWISE = ("comment", "linesep", "charset", "escape", "skiplines")


class Headers(NamedTuple):
    """What has been found out about the headers of files.

    Attributes:
        are_known: whether all have been looked at; Spark has to look at the others.
        are_alike: whether they are written alike, and not in different case or quotes.
    """

    are_known: bool
    are_alike: bool


def check_headers(
    entity: EntityMetadata, frame: DataFrame, options: Mapping[str, str], declared: Sequence[str]
) -> Headers:
    """Compare the headers of all files with the declared columns, or with that of the first file.

    Raises:
        PipeRunError: names are missing, too many, or in another order.
    """
    names = sorted(frame.inputFiles())
    if len(names) > _MOST_FILES:
        return Headers(are_known=False, are_alike=True)
    spellings = set()
    expected, where = list(declared), "its declared schema"
    wrong: list[str] = []
    for name in names:
        try:
            start = beginning(frame, name)
            found = header_of(start, options)
        except (csv.Error, LookupError, UnicodeDecodeError):
            found = None
        if found is None:
            return Headers(are_known=False, are_alike=True)
        if not found:
            continue
        spellings.add(_first_line(start))
        if not expected:
            expected, where = found, f"that of {name!r}"
        texts = header_problems(expected, found, declares=bool(declared))
        if texts:
            listed = "\n".join(f"  - {text}" for text in texts)
            wrong.append(f"the header of {name!r} does not fit {where}\n{listed}")
    if wrong:
        more = len(wrong) - _MOST_SHOWN
        shown = [*wrong[:_MOST_SHOWN], *([f"and {more} more files"] if more > 0 else [])]
        remedy = (
            "correct the declared schema, or rewrite the files"
            if declared
            else "rewrite the files, or read them as a separate entity"
        )
        raise PipeRunError(
            f"entity {entity.entityid!r}: " + "\n".join(shown) + f"\n  Fix: {remedy}."
        )
    return Headers(are_known=True, are_alike=len(spellings) <= 1)


def _first_line(start: bytes) -> bytes:
    lines = start.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n").split(b"\n")
    return next((line for line in lines if line.strip()), b"")


def header_of(start: bytes, options: Mapping[str, str]) -> list[str] | None:
    r"""Return the names in a file's first line; none of an empty one, None if they are not plain.

    >>> header_of(b'\xef\xbb\xbf\nid;"full;name"\n1;x', {"sep": ";"})
    ['id', 'full;name']
    >>> header_of(b"", {})
    []
    """
    given = lowered(options)
    separator, quote = separator_of(given), given.get("quote", '"')
    if any(key in given for key in _OTHERWISE) or len(separator) != 1 or len(quote) > 1:
        return None
    encoding = given.get("encoding", "utf-8-sig")
    text = start.decode(encoding, errors="replace" if "encoding" not in given else "strict")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    plain = "\n".join(line for line in lines if line.strip())
    if not plain:
        return []
    quoting: Any = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    source = io.StringIO(plain)
    names = csv.reader(source, delimiter=separator, quotechar=quote or '"', quoting=quoting)
    found = next(names)
    if given.get("ignoreleadingwhitespace") == "true":
        found = [name.lstrip() for name in found]
    if given.get("ignoretrailingwhitespace") == "true":
        found = [name.rstrip() for name in found]
    return found


def header_problems(
    declared: Sequence[str], found: Sequence[str], *, declares: bool = True
) -> list[str]:
    """Return how a header differs from the declared columns: by names, else by their order.

    Args:
        declared: the columns.
        found: the names in the header.
        declares: whether the columns are declared; else they are those of another file.

    >>> header_problems(["id", "name"], ["ID", "name"])
    []
    >>> header_problems(["id", "name"], ["id", "title", "price"])
    ["column 'name' is missing", "column 'title' is not declared", "column 'price' is not declared"]
    >>> header_problems(["id", "name"], ["name", "id"])
    ["column 1 is 'name', declared as 'id'", "column 2 is 'id', declared as 'name'"]
    >>> header_problems(["id", "name"], ["name", "id", "x"], declares=False)
    ["column 'x' is not there"]
    """
    there, known = ({name.casefold() for name in names} for names in (found, declared))
    problems = [f"column {name!r} is missing" for name in declared if name.casefold() not in there]
    unknown = "is not declared" if declares else "is not there"
    problems += [f"column {name!r} {unknown}" for name in found if name.casefold() not in known]
    wanted_as = "declared as" if declares else "there"
    return problems or [
        f"column {n} is {given!r}, {wanted_as} {wanted!r}"
        for n, (wanted, given) in enumerate(zip_longest(declared, found, fillvalue=""), 1)
        if wanted.casefold() != given.casefold()
    ]
