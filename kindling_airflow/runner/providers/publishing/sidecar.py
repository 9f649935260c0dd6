"""The sidecar of a parquet table: it holds what the table's files do not keep.

    _kindling.json    {"version": 1, "schema": ..., "partition_time_zone": "UTC"}

Partition columns are encoded in the names of folders. These keep neither their types (``month=01``
would come back as the integer 1) nor their place among the columns (Spark puts them last), and a
timestamp is a local time there, twice the same in the hour that a change of clocks repeats. So the
schema is stored beside the files, in the order in which it was written, and timestamps in names of
folders are written and read in UTC, whatever the time zone of the session.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType, TimestampType

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.publishing.publish_log import SIDECAR
from kindling_airflow.runner.providers.storage import Storage
from kindling_airflow.runner.schema.differences import quoted

SIDECAR_VERSION = 1
_TIME_ZONE = "partition_time_zone"
FOLDER_OPTIONS = {"timeZone": "UTC"}


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What is written beside a table.

    Attributes:
        schema: its columns, in the order in which they were written.
        options: how Spark has to read the names of its folders.
    """

    schema: StructType
    options: dict[str, str]


def sidecar_text(schema: StructType) -> str:
    """Return the text of the file for a table that is written with :data:`FOLDER_OPTIONS`."""
    document = {
        "version": SIDECAR_VERSION,
        "schema": schema.jsonValue(),
        _TIME_ZONE: FOLDER_OPTIONS["timeZone"],
    }
    return json.dumps(document, sort_keys=True)


def read_sidecar(storage: Storage, table: str) -> Sidecar | None:
    """Return what is written beside a table; None where nothing is, or what another version has.

    Tables of earlier releases have timestamps in the time zone of the session that wrote them.
    """
    path = f"{table}/{SIDECAR}"
    if not storage.exists(path):
        return None
    return parse_sidecar(storage.read_text(path))


def parse_sidecar(text: str) -> Sidecar | None:
    """Read the text of such a file; None of what another version has."""
    document: Any = json.loads(text)
    if document.get("version") != SIDECAR_VERSION:
        return None
    zone = document.get(_TIME_ZONE)
    options = {} if zone is None else {"timeZone": str(zone)}
    return Sidecar(StructType.fromJson(document["schema"]), options)


def same_columns(one: str, another: str) -> bool:
    """Return whether two such texts name the same columns.

    Their order, and whether they may be null, does not count. What is not of this version is
    compared by its text.
    """
    return bool(_columns_in(one) == _columns_in(another))


def _columns_in(sidecar: str) -> Any:
    document = json.loads(sidecar)
    return _without_order(document["schema"]) if "schema" in document else sidecar


def _without_order(schema: Any) -> Any:
    if isinstance(schema, list):
        return sorted(map(_without_order, schema), key=lambda field: str(field.get("name")))
    if not isinstance(schema, dict):
        return schema
    irrelevant = ("nullable", "containsNull", "valueContainsNull", "metadata")
    return {key: _without_order(v) for key, v in schema.items() if key not in irrelevant}


def in_order(frame: DataFrame, schema: StructType) -> DataFrame:
    """Return rows with their columns in the order of a schema; Spark has partition columns last."""
    names = schema.fieldNames()
    return frame if frame.columns == names else frame.select(*map(quoted, names))


def check_time_zone(
    entity: EntityMetadata, storage: Storage, table: str, schema: StructType
) -> None:
    """Return if rows can be added to a table, as far as timestamps in names of folders go.

    Raises:
        PipeRunError: it has them in the time zone of a session that is not known.
    """
    parts = [field for field in schema if field.name in entity.partition_columns]
    local = [field.name for field in parts if isinstance(field.dataType, TimestampType)]
    if not local or not storage.exists(table):
        return
    sidecar = read_sidecar(storage, table)
    if sidecar is None or sidecar.options != FOLDER_OPTIONS:
        raise PipeRunError(
            f"entity {entity.entityid!r}: the table at {table!r} is partitioned by the TIMESTAMP "
            f"{', '.join(map(repr, local))}, in the time zone of the session that wrote it, which "
            "is not recorded; rows added in UTC would be read as different instants\n"
            "  Fix: rewrite the whole table, or partition it by a DATE."
        )
