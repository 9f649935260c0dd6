"""A parquet table that a stream writes: Spark's own file sink, whose log says which files count.

    <root>/silver.orders/part-....parquet          files, also those of batches that were given up
    <root>/silver.orders/_spark_metadata/          Spark's log: the files of batches that are done
    <root>/silver.orders/_kindling_stream.json     whose table it is: the query's checkpoint

With a checkpoint, each row comes exactly once for readers that go through the log, as Spark does. A
table is either such a one or one that is published: behind a log, Spark sees no published rows. And
a log belongs to one checkpoint: Spark leaves out each batch whose number is in the log already,
which makes a repeated batch harmless, and would lose the first batches of another query.
"""

from __future__ import annotations

import json
import uuid

from pyspark.sql.types import StructType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import EntityError, PipeRunError
from kindling_airflow.runner.providers.parquet.whole import readable
from kindling_airflow.runner.providers.publishing.hidden_names import is_hidden
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR
from kindling_airflow.runner.providers.publishing.sidecar import (
    SIDECAR_VERSION,
    check_time_zone,
    sidecar_text,
)
from kindling_airflow.runner.providers.storage import Storage, area_of, literal_path

_LOG = "_spark_metadata"
_OWNER = "_kindling_stream.json"


def is_streamed(storage: Storage, table: str) -> bool:
    """Return whether a table is one that a stream writes."""
    return storage.exists(f"{table}/{_LOG}")


def has_data(storage: Storage, folder: str) -> bool:
    """Return whether there is a file in a folder, or deeper, that Spark would read."""
    return storage.has_file(folder, is_hidden)


def refuse_publish(entity: EntityMetadata, storage: Storage, table: str) -> None:
    """Return if a table may be published to by a run.

    Raises:
        PipeRunError: a stream writes it.
    """
    if is_streamed(storage, table):
        raise PipeRunError(
            f"entity {entity.entityid!r}: the table at {table!r} is written by a stream; a run "
            "cannot publish to it, because readers see only what is in the log of the stream\n"
            "  Fix: write the result to another location (provider.path, or a separate entity), or "
            "move the stream's table away and restart its query."
        )


def create_empty(storage: Storage, table: str, schema: StructType) -> None:
    """Create a table without rows, in one step; a concurrent driver may win.

    Raises:
        EntityError: the file system refuses.
    """
    made = f"{area_of(table, 'staging')}/empty-{uuid.uuid4().hex}"
    storage.write_text(f"{made}/{SIDECAR}", sidecar_text(schema))
    try:
        storage.move(made, table)
    except EntityError:
        storage.delete(made)
        if not storage.exists(table):
            raise


def take_over(
    entity: EntityMetadata, storage: Storage, table: str, schema: StructType, checkpoint: str
) -> None:
    """Make sure that a stream may write a table, and that there is a folder for it.

    Raises:
        PipeRunError: the table has rows that were published, or belongs to another checkpoint, or
            Spark would take its path for a pattern.
    """
    where = f"entity {entity.entityid!r}"
    if literal_path(table) != table:
        raise PipeRunError(
            f"{where}: a stream cannot write to {table!r}, because Spark treats such a path as a "
            "pattern when it looks for the stream's log\n"
            "  Fix: use a path without any of the characters {}[]*?\\."
        )
    check_time_zone(entity, storage, table, schema)
    if is_streamed(storage, table):
        _check_owner(entity, storage, table, checkpoint)
        return
    found = readable(storage, table)
    if found is not None and (found != table or has_data(storage, table)):
        raise PipeRunError(
            f"{where}: the table at {table!r} has rows that were not written by a stream; a stream "
            "cannot continue it, because readers would see only the rows of the stream from then "
            "on\n"
            "  Fix: use another location for the stream (provider.path, or a separate entity), or "
            "move the table away."
        )
    if found is None:
        create_empty(storage, table, schema)
    elif not storage.exists(f"{table}/{SIDECAR}"):
        storage.write_text(f"{table}/{SIDECAR}", sidecar_text(schema))
    owner = json.dumps({"version": SIDECAR_VERSION, "checkpoint": checkpoint}, sort_keys=True)
    storage.write_text(f"{table}/{_OWNER}", owner)


def latest_number(storage: Storage, folder: str) -> int | None:
    """Return the highest number among the files of one of Spark's logs; None if it is empty."""
    heads = (name.partition(".")[0] for name in storage.names(folder))
    return max((int(head) for head in heads if head.isdecimal()), default=None)


def _check_owner(entity: EntityMetadata, storage: Storage, table: str, checkpoint: str) -> None:
    done = latest_number(storage, f"{table}/{_LOG}")
    if done is None:  # nothing in it that could be lost or left out
        return
    begun = latest_number(storage, f"{checkpoint}/offsets")
    if begun is not None and begun >= done and _owner(storage, table) in (checkpoint, None):
        return
    raise PipeRunError(
        f"entity {entity.entityid!r}: the table at {table!r} has {done + 1} batches of a "
        f"checkpoint other than {checkpoint!r}; Spark would skip as many batches of this query, "
        "because their numbers are already in the table's log\n"
        "  Fix: restore the checkpoint, or start over with another location for the table "
        "(provider.path), or move the table away."
    )


def _owner(storage: Storage, table: str) -> str | None:
    path = f"{table}/{_OWNER}"
    if not storage.exists(path):
        return None
    try:
        return str(json.loads(storage.read_text(path))["checkpoint"])
    except (ValueError, KeyError, TypeError):  # a driver died while it wrote it
        return None
