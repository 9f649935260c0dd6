r"""Values of partition columns that a format would change: found, counted, refused.

    code = ''                              a folder of this name stands for NULL
    code = '__HIVE_DEFAULT_PARTITION__'    likewise
    code = 'a._COPYING_'                   Spark passes over such a folder
    code = 'a\0'                            no file system takes it
    code = 'x' * 300                       file names end at 255 bytes
    at   = -0300-01-01 00:00:00            Delta writes years before 1 without their sign
    at   = 2020-10-25 02:30:00             and local times without their offset

Where a result is staged in folders, such a text is gone once it is written, so a mark is written in
its place: its folder can be counted and is never published. Where it is staged as plain columns,
the staged rows are counted. A stream has neither, and fails at the first such row.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType, TimestampType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.publishing.footers import count_rows
from kindling_airflow.runner.providers.publishing.hidden_names import BEING_COPIED
from kindling_airflow.runner.providers.publishing.sliced_table import NULL_FOLDER, partition_values
from kindling_airflow.runner.providers.storage import Storage, literal_path
from kindling_airflow.runner.schema.differences import quoted

_LONGEST_NAME = 255
_ESCAPED = re.compile(r"""[\x01-\x1f"#%'*/:=?\\\x7f{\[\]^]""")
_NOT_IN_LOCALE = "characters that the driver's locale cannot encode (set LANG=C.UTF-8)"
_AS_NULL = "which would be read as NULL"
_TWICE = (
    "a time that the session's time zone has twice, when clocks go back, and that would become the "
    "earlier one (set spark.sql.session.timeZone to UTC)"
)


def partition_checks(
    entity: EntityMetadata, kind: str, storage: Storage, location: str | None
) -> PartitionChecks:
    """Return what an entity's partition columns cannot hold where it is stored."""
    if location is None:
        return PartitionChecks(entity, kind, has_long_names=True)
    long_names, unwritable = storage.has_long_names(location), storage.unwritable(location)
    return PartitionChecks(entity, kind, long_names, unwritable)


@dataclass(frozen=True, slots=True)
class PartitionChecks:
    """What one entity's partition columns cannot hold.

    Attributes:
        entity: the entity.
        kind: its format: ``parquet``, ``table``, ``delta``, ``iceberg``.
        has_long_names: whether its storage takes names of any length, as object stores do.
        unwritable: a pattern of the characters that its storage cannot write in names; "" if none.
        token: begins every mark; never twice the same.
    """

    entity: EntityMetadata
    kind: str
    has_long_names: bool = False
    unwritable: str = ""
    token: str = field(default_factory=lambda: f"kindling-{uuid.uuid4().hex}-")

    def marked(self, frame: DataFrame) -> DataFrame:
        """Return rows that have a mark in the place of each text that a folder cannot hold."""
        return self._substituted(frame, lambda _name, n, _reason: F.lit(f"{self.token}{n}"))

    def refuse_marked(self, frame: DataFrame, storage: Storage, folder: str) -> None:
        """Return if no mark was written.

        Raises:
            PipeRunError: there are marks; says for how many rows.
        """
        levels = range(len(self.entity.partition_columns))
        patterns = [f"{literal_path(folder)}{'/*' * n}/*{self.token}*" for n in levels]
        if not any(map(storage.any_match, patterns)):
            return
        marks: dict[tuple[str, int], list[str]] = {}
        for path in (path for path in storage.files(folder) if self.token in path):
            for name, text in partition_values(path).items():
                if text is not None and text.startswith(self.token):
                    marks.setdefault((name, int(text[len(self.token) :])), []).append(path)
        wrong, read = self._wrong(frame), frame.sparkSession.read
        counted = []
        for (name, n), paths in sorted(marks.items()):
            files = [literal_path(f"{folder}/{path}") for path in paths]
            counted.append((name, wrong[name][n][0], count_rows(read.parquet(*files))))
        raise self._refusal(counted)

    def counts(self, frame: DataFrame) -> list[Column]:
        """Return aggregates that count what :meth:`refuse_counted` is to judge."""
        return [F.count_if(condition) for _, _, condition in self._each(frame)]

    def refuse_counted(self, frame: DataFrame, counts: Iterable[int]) -> None:
        """Return if all counts are zero.

        Raises:
            PipeRunError: there are rows that the format would change.
        """
        found = [
            (name, reason, int(rows))
            for (name, reason, _), rows in zip(self._each(frame), counts, strict=True)
            if rows
        ]
        if found:
            raise self._refusal(found)

    def refusing(self, frame: DataFrame) -> DataFrame:
        """Return the rows of a stream, which fails at one that the format would change."""

        def error(name: str, _n: int, reason: str) -> Column:
            message = str(self._refusal([(name, reason, None)]))
            return F.raise_error(F.lit(message)).cast(frame.schema[name].dataType)

        return self._substituted(frame, error)

    def _substituted(
        self, frame: DataFrame, substitute: Callable[[str, int, str], Column]
    ) -> DataFrame:
        """Return rows with a substitute, by column, number and reason, for each such value."""
        self._check_names()
        columns: dict[str, Column] = {}
        for name, wrong in self._wrong(frame).items():
            case: Any = F  # F.when(...).when(...)
            for n, (reason, condition) in enumerate(wrong):
                case = case.when(condition, substitute(name, n, reason))
            columns[name] = case.otherwise(F.col(quoted(name))).alias(name)
        kept = (columns.get(name, F.col(quoted(name))) for name in frame.columns)
        return frame.select(*kept) if columns else frame

    def _check_names(self) -> None:
        """Return if the columns' names can be part of names of folders.

        Raises:
            PipeRunError: they cannot; the columns would be read as NULL.
        """
        names = self.entity.partition_columns if self.kind in ("parquet", "table") else ()
        wrong = [name for name in names if self.unwritable and re.search(self.unwritable, name)]
        if wrong:
            raise self._refusal([(name, f"its name has {_NOT_IN_LOCALE}", None) for name in wrong])

    def _each(self, frame: DataFrame) -> Iterator[tuple[str, str, Column]]:
        for name, wrong in self._wrong(frame).items():
            for reason, condition in wrong:
                yield name, reason, condition

    def _wrong(self, frame: DataFrame) -> dict[str, list[tuple[str, Column]]]:
        """Return, by column, why a value cannot be held, and whether it is one of these."""
        found: dict[str, list[tuple[str, Column]]] = {}
        for name in self.entity.partition_columns:
            if name not in frame.columns:
                continue
            kind, column = frame.schema[name].dataType, F.col(quoted(name))
            if isinstance(kind, StringType):
                wrong = self._texts(name, column)
            elif isinstance(kind, BinaryType) and not self.has_long_names:
                length = F.length(F.url_encode(F.base64(column)))
                wrong = [self._too_long(name, length)]
            elif isinstance(kind, TimestampType) and self.kind == "delta":
                first = F.expr("TIMESTAMP'0001-01-01T00:00:00Z'")
                wrong = [
                    ("a time before year 1, whose year would lose its sign", column < first),
                    (_TWICE, ~_as_folder_name(name).eqNullSafe(column)),
                ]
            else:
                continue
            if wrong:
                found[name] = wrong
        return found

    def _texts(self, name: str, column: Column) -> list[tuple[str, Column]]:
        if self.kind == "iceberg":
            length = F.length(F.url_encode(column))
            return [] if self.has_long_names else [self._too_long(name, length)]
        wrong = [
            (f"'', {_AS_NULL}", column == F.lit("")),
            (f"{NULL_FOLDER!r}, {_AS_NULL}", column == F.lit(NULL_FOLDER)),
            (
                "a value with the NUL character, which folder names cannot have",
                column.contains("\0"),
            ),
        ]
        if self.kind != "delta":
            reason = f"a value that ends with {BEING_COPIED!r}, a folder that Spark ignores"
            wrong.append((reason, column.endswith(BEING_COPIED)))
            if self.unwritable:
                wrong.append((f"a value with {_NOT_IN_LOCALE}", column.rlike(self.unwritable)))
        if not self.has_long_names:
            escaped = F.regexp_replace(column, _ESCAPED.pattern, "%00")
            wrong.append(self._too_long(name, F.octet_length(escaped)))
        return wrong

    def _too_long(self, name: str, length: Column) -> tuple[str, Column]:
        encoded = quote_plus(name) if self.kind == "iceberg" else _ESCAPED.sub("%00", name)
        own = len(encoded.encode()) + 1
        return (
            f"a value whose folder name is longer than {_LONGEST_NAME} bytes",
            # The first part is cheap, and nearly always false: no byte becomes more than six.
            (6 * F.octet_length(F.col(quoted(name))) + own > _LONGEST_NAME)
            & (length + own > _LONGEST_NAME),
        )

    def _refusal(self, found: Iterable[tuple[str, str, int | None]]) -> PipeRunError:
        found = list(found)
        lines = "\n".join(
            f"  - column {name!r}: {reason}"
            + ("" if rows is None else f" ({rows} row{'s' * (rows != 1)})")
            for name, reason, rows in found
        )
        names = ", ".join(dict.fromkeys(repr(name) for name, _, _ in found))
        others = "" if self.kind == "iceberg" else ", or store the entity as iceberg"
        return PipeRunError(
            f"entity {self.entity.entityid!r}: {self.kind} cannot store values of its partition "
            f"columns unchanged; nothing was published\n{lines}\n"
            "  Fix: remove such rows, or change these values; or remove "
            f"{names} out of partition_columns{others}."
        )


def _as_folder_name(name: str) -> Column:
    """Return an instant as Delta reads it back from the name of its folder: by its local time."""
    return F.expr(f"try_cast(CAST({quoted(name)} AS STRING) AS TIMESTAMP)")
