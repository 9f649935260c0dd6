"""What the table formats share: a result is staged as parquet, checked, and then taken over.

    <root>/_kindling/staging/gold.orders/<instance>-<attempt>/    a result that no reader sees yet

    1. stage     write the result in full, look at it        the table is as it was
    2. publish   one transaction of the format reads it      the old table, or the new one
    3. delete what was staged

A transaction that conflicts with one of another run fails, and is retried on the table as it is
then. That is safe because transactions are idempotent.

On a machine's own disk a rename may replace a file that is there already, and both formats commit
by a rename. There the publishes of one table wait for each other, by a lock that the system lets go
of when its driver dies.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.runner.failures.retryable import java_causes
from kindling_airflow.runner.providers.interface import ProviderContext, Staged, Write
from kindling_airflow.runner.providers.publishing.partition_values import partition_checks
from kindling_airflow.runner.providers.storage import Storage, area_of, literal_path
from kindling_airflow.runner.schema.differences import (
    quoted,
    schema_differences,
)
from kindling_airflow.runner.schema.interval_column import interval_kind
from kindling_airflow.tags.intervals import IntervalSlice
from kindling_airflow.tags.names import NEW_COLUMNS_TAG
from kindling_airflow.tags.paths import is_named

T = TypeVar("T")

WRITE_MODES = ("overwrite", "overwrite_interval", "append", "merge")

_EXAMPLES = 5
_TIMES = "__kindling_times"
_TRIES = 15
_LONGEST_PAUSE_SECONDS = 5.0


def stage_beside(
    context: ProviderContext, entity: EntityMetadata, frame: DataFrame, write: Write, kind: str
) -> Staged:
    """Write a result to the staging area, and check what is really there.

    Raises:
        PipeRunError: rows are outside of the slice that is replaced, or the columns by which rows
            are merged are null or not unique, or the format would change partition values.
    """
    storage, area = context.storage, area_of(context.location_of(entity), "staging")
    storage.delete_attempts(area, write.instance)
    path = f"{area}/{write.instance}-{write.attempt}"
    frame.write.parquet(path)
    staged = context.spark.read.schema(frame.schema).parquet(literal_path(path))
    texts = partition_checks(entity, kind, storage, own_folder(context, entity))
    if counts := texts.counts(staged):
        [row] = staged.agg(F.count(F.lit(1)), *counts).collect()
        rows, found = int(row[0]), [int(row[n]) for n in range(1, len(row))]
        texts.refuse_counted(staged, found)
    else:
        rows = staged.count()
    if write.mode == "overwrite_interval" and write.slice is not None:
        _check_slice(entity, staged, write.slice)
    elif write.mode == "merge":
        _check_keys(entity, staged)
    return Staged(path, rows, staged)


def own_folder(context: ProviderContext, entity: EntityMetadata) -> str | None:
    """Return where a table lies; None where a catalog decides."""
    return None if is_named(entity) else context.location_of(entity)


def new_columns(entity: EntityMetadata, stored: StructType, result: StructType) -> list[str]:
    """Return the columns that a table lacks and may be given."""
    if entity.tags.get(NEW_COLUMNS_TAG) != "add":
        return []
    known = {name.casefold() for name in stored.fieldNames()}
    return [name for name in result.fieldNames() if name.casefold() not in known]


def check_columns(entity: EntityMetadata, stored: StructType, result: StructType) -> None:
    """Compare a result with the table whose other rows stay.

    Raises:
        PipeRunError: the columns differ, new ones aside where those may be added.
    """
    added = set(new_columns(entity, stored, result))
    kept = StructType([field for field in result if field.name not in added])
    problems = schema_differences(stored, kept)
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        could_be_added = entity.tags.get(NEW_COLUMNS_TAG) != "add" and set(
            result.fieldNames()
        ) - set(stored.fieldNames())
        adding = f"have new ones added ({NEW_COLUMNS_TAG}: add), " if could_be_added else ""
        raise PipeRunError(
            f"entity {entity.entityid!r}: the result does not have the columns of the table, whose "
            f"other rows are kept\n{listed}\n"
            f"  Fix: keep the columns, {adding}or have the "
            "whole table rewritten (write_mode: overwrite)."
        )


def retry_conflicts(
    context: ProviderContext,
    entity: EntityMetadata,
    act: Callable[[], T],
    is_conflict: Callable[[Exception], bool],
    problem: str,
) -> T:
    """Carry out a transaction, and again if a concurrent one was in the way.

    Args:
        context: the session and the warehouse.
        entity: what is changed.
        act: the transaction, which gives the same table when it is repeated.
        is_conflict: whether an error means that another transaction was in the way.
        problem: the error's text, with ``{times}`` and ``{reason}``.

    Raises:
        EntityError: others were in the way each time.
    """
    with _alone(context.storage, own_folder(context, entity)):
        for n in range(_TRIES):
            try:
                return act()
            except Exception as error:  # py4j and Spark wrap whatever the format throws
                if not is_conflict(error):
                    raise
                if n == _TRIES - 1:
                    reason = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                    text = problem.format(times=f"{_TRIES} times in a row", reason=reason)
                    # not from it, because the cause may be permanent
                    raise EntityError(f"entity {entity.entityid!r}: {text}") from None
            pause = min(0.1 * 2**n, _LONGEST_PAUSE_SECONDS)
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
    raise AssertionError("unreachable")


def java_names(error: Exception) -> list[str]:
    """Return the class names of the Java errors behind an error."""
    return [str(java.getClass().getName()) for java in java_causes(error)]


@contextmanager
def _alone(storage: Storage, folder: str | None) -> Iterator[None]:
    """Wait for other publishes of a table where its folder is on this machine's own disk."""
    found = folder and storage.local_path(f"{area_of(folder, 'locks')}.lock")
    if found is None or os.name != "posix":
        yield
        return
    import fcntl

    path = Path(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # let go of when the file is closed, or the driver dies
        yield


def _check_slice(entity: EntityMetadata, staged: DataFrame, part: IntervalSlice) -> None:
    if part.column not in staged.columns:
        raise PipeRunError(
            f"entity {entity.entityid!r}: the result has no column {part.column!r}, which the tag "
            "interval.column names\n  Fix: correct the tag interval.column, or the pipe's result."
        )
    kind = interval_kind(entity, staged, part.column)
    outside = staged.where(~F.coalesce(F.expr(part.condition(kind)), F.lit(False)))
    found = outside.select(quoted(part.column)).distinct().limit(_EXAMPLES + 1).collect()
    if found:
        shown = _examples("null" if row[0] is None else str(row[0]) for row in found)
        raise PipeRunError(
            f"entity {entity.entityid!r}: the result has rows outside the run's slice ({part}): "
            f"{part.column} = {shown}\n"
            "  Fix: remove such rows, or read the slice only (interval.read: slice)."
        )


def _check_keys(entity: EntityMetadata, staged: DataFrame) -> None:
    where, keys = f"entity {entity.entityid!r}", list(entity.merge_columns)
    absent = [key for key in keys if key not in staged.columns]
    if absent:
        raise PipeRunError(
            f"{where}: the result lacks merge_columns: {', '.join(absent)}\n"
            "  Fix: correct merge_columns, or the pipe's result."
        )
    columns = [F.col(quoted(key)) for key in keys]
    wrong: Any = F.lit(False)
    for column in columns:
        wrong = wrong | column.isNull()
    nulls = staged.where(wrong).select(*columns).limit(_EXAMPLES + 1).collect()
    if nulls:
        raise PipeRunError(
            f"{where}: rows are merged by {', '.join(keys)}, and the result has nulls there: "
            f"{_examples(map(_shown_key, nulls))}\n"
            "  Fix: remove or fill such rows."
        )
    counted = staged.groupBy(*columns).agg(F.count(F.lit(1)).alias(_TIMES)).where(f"{_TIMES} > 1")
    doubled = counted.select(*columns).limit(_EXAMPLES + 1).collect()
    if doubled:
        raise PipeRunError(
            f"{where}: rows are merged by {', '.join(keys)}, and the result has more than one row "
            f"for the same key: {_examples(map(_shown_key, doubled))}\n"
            "  Fix: keep one row per key, or add columns to merge_columns."
        )


def _shown_key(row: Any) -> str:
    return "(" + ", ".join("null" if value is None else str(value) for value in row) + ")"


def _examples(texts: Any) -> str:
    found = sorted(texts)
    return ", ".join(found[:_EXAMPLES]) + (", ..." if len(found) > _EXAMPLES else "")
