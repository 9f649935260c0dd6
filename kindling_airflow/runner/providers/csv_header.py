"""Does the header of CSV files fit the declared columns? Told by name, before Spark reads them.

Spark finds it out as well, in the middle of a job. Where the number of columns has changed it says
nothing but the two numbers, and that as a failure to read a file, which another try may heal.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.first_lines import beginning, is_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["check_header", "header_problems"]


def check_header(entity: EntityMetadata, frame: DataFrame, options: Mapping[str, str]) -> None:
    """Compare the header of the first file with the declared columns, where it is easily read.

    Args:
        entity: what the files hold; its schema is declared.
        frame: what a reader has returned, in the declared schema.
        options: the reader's.

    Raises:
        PipeRunError: names are missing, too many, or in another order.
    """
    said = {key.lower(): value for key, value in options.items()}
    checked = said.get("header") == "true" and said.get("enforceschema") == "false"
    separator = said.get("sep", said.get("delimiter", ","))
    if not checked or not is_plain(options) or len(separator) != 1:
        return
    for name in frame.inputFiles()[:1]:
        lines = [line for line in beginning(frame, name).splitlines() if line.strip()]
        if not name.lower().endswith(".csv") or not lines:
            return
        text = lines[0].decode("utf-8-sig", errors="replace")
        [found] = csv.reader([text], delimiter=separator, quotechar=said.get("quote") or '"')
        problems = header_problems(frame.columns, [column.strip() for column in found])
        if problems:
            listed = "\n".join(f"  - {problem}" for problem in problems)
            raise PipeRunError(
                f"entity {entity.entityid!r}: the header of {name!r} does not fit its declared "
                f"schema\n{listed}\n"
                "  Fix: correct the declared schema, or have the file written anew."
            )


def header_problems(declared: Sequence[str], found: Sequence[str]) -> list[str]:
    """Return how a header differs from the declared columns: by names, else by their order.

    >>> header_problems(["id", "name"], ["ID", "name"])
    []
    >>> header_problems(["id", "name"], ["id", "title", "price"])
    ["column 'name' is missing", "column 'title' is not declared", "column 'price' is not declared"]
    >>> header_problems(["id", "name"], ["name", "id"])
    ["column 1 is 'name', declared as 'id'", "column 2 is 'id', declared as 'name'"]
    """
    there, known = ({name.casefold() for name in names} for names in (found, declared))
    problems = [f"column {name!r} is missing" for name in declared if name.casefold() not in there]
    problems += [
        f"column {name!r} is not declared" for name in found if name.casefold() not in known
    ]
    return problems or [
        f"column {n} is {given!r}, declared as {wanted!r}"
        for n, (wanted, given) in enumerate(zip_longest(declared, found, fillvalue=""), 1)
        if wanted.casefold() != given.casefold()
    ]
