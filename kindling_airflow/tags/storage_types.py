"""The storage types of entities: one row each, and the class of its provider on the Spark side.

What differs between two types is in their rows, and nowhere else: their tags, how pipes and streams
can write them, what streams can read of them, what a Spark session needs for them. An entity's
``provider_type`` is

- one of the built-in types,
- the name of an entry point that another distribution registers, or
- ``package.module:Class``, which needs no registration and so works from a project's own modules.

    [project.entry-points."kindling_airflow.entity_providers"]
    avro = "shop_entities.avro:AvroProvider"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kindling_airflow.common.immutable import EMPTY
from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags import storage_checks as checks
from kindling_airflow.tags.intervals import WRITE_MODES
from kindling_airflow.tags.kafka import kafka_problems
from kindling_airflow.tags.names import (
    CATALOG_TAG,
    CONNECTION_TAG,
    DRIVER_TAG,
    EXTRA_COLUMNS_TAG,
    FORMAT_TAG,
    GRACE_TAG,
    KEY_TAG,
    MALFORMED_TAG,
    NEW_COLUMNS_TAG,
    PARTITIONS_TAG,
    PATH_TAG,
    PROVIDER_TYPE_TAG,
    QUERY_TAG,
    SERVERS_TAG,
    TABLE_TAG,
    TOPIC_TAG,
    URL_TAG,
    VALUE_FORMAT_TAG,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "ENTRY_POINT_GROUP",
    "STORAGE_TYPES",
    "StorageType",
    "StreamSource",
    "is_class_reference",
    "provider_type_of",
    "registered_types",
    "storage_type_of",
]

ENTRY_POINT_GROUP = "kindling_airflow.entity_providers"

_PROVIDERS = "kindling_airflow.runner.providers"
_CLASS_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class StreamSource:
    """What a type is to a stream that it drives.

    Attributes:
        needs_schema: the schema has to be declared, because a stream of files begins without any.
        offsets: returns what is wrong with ``stream.starting_offsets``, or None; without it a
            stream of the type has no offsets.
        by_row: Spark can read it row by row, without batches.
        replaced_by_runs: the write modes of batch pipes that replace rows which a stream has read.
        replaced_by_streams: the output modes of streams that do.
        skips_replaced: the options of the reader with which it leaves such rows out, the usual one
            first.
    """

    needs_schema: bool = False
    offsets: Callable[[str], str | None] | None = None
    by_row: bool = False
    replaced_by_runs: tuple[str, ...] = ()
    replaced_by_streams: tuple[str, ...] = ()
    skips_replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageType:
    """One built-in way of storing an entity.

    Attributes:
        provider: its class on the Spark side, as ``package.module:Class``.
        tags: the tags that it knows, ``provider.option.*`` aside.
        problems: returns what is wrong with its tags together, beyond each one's value.
        place: what an entity of the type is written to or read from; "" for none that has a name.
        is_written: whether pipes can write it; else it is a source.
        takes_options: whether it knows ``provider.option.*``.
        has_other_columns: whether it may have columns that are not declared, such as names of
            folders, or the metadata of a topic.
        partitions_are_folders: whether partitions are found by the names of their folders.
        write_modes: what its tag ``write_mode`` may be; of a type that only streams write, none.
        source: what it is to a stream that it drives; None where it cannot drive one.
        stream_modes: the output modes in which a streaming pipe can write it.
        appends_by_batch: whether a stream appends each batch as a whole, so that it can be checked
            before.
        reread_by_streams: whether a stream that joins it reads it again in every batch.
        written_by_row: whether Spark can write it row by row, without batches.
        session: the properties that a Spark session needs for it.
        jars: the key of its jars in :data:`kindling_airflow.deployment.jars.FORMATS`; "" for none.
        needs: what it needs of the file system that it is written to, so that no driver can lose
            what another has published (:mod:`kindling_airflow.tags.storage_needs`): ``listing``
            (consistent lists alone), ``rename`` (atomic renames, but not where a catalog has the
            table), ``log`` (these, or files that are created only if absent), ``log_store`` (a safe
            log store of Delta); "" for nothing.
    """

    provider: str
    tags: tuple[str, ...] = ()
    problems: Callable[[EntityMetadata], Iterable[str]] = lambda _entity: ()
    place: Literal["", "folder", "files", "table", "topic"] = ""
    is_written: bool = True
    takes_options: bool = True
    has_other_columns: bool = False
    partitions_are_folders: bool = False
    write_modes: tuple[str, ...] = ("overwrite",)
    source: StreamSource | None = None
    stream_modes: tuple[str, ...] = ()
    appends_by_batch: bool = False
    reread_by_streams: bool = False
    written_by_row: bool = False
    session: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    jars: str = ""
    needs: Literal["", "listing", "rename", "log", "log_store"] = ""


def _files(provider: str) -> StorageType:
    return StorageType(
        f"{_PROVIDERS}.files.provider:{provider}",
        (MALFORMED_TAG, PATH_TAG),
        checks.source_problems,
        place="files",
        is_written=False,
        has_other_columns=True,
        source=StreamSource(needs_schema=True),
    )


STORAGE_TYPES: dict[str, StorageType] = {
    "csv": _files("CsvProvider"),
    "delta": StorageType(
        f"{_PROVIDERS}.tables.delta:DeltaProvider",
        (EXTRA_COLUMNS_TAG, NEW_COLUMNS_TAG, PATH_TAG),
        place="folder",
        write_modes=WRITE_MODES,
        source=StreamSource(
            offsets=checks.delta_offsets_problem,
            replaced_by_runs=("overwrite",),
            replaced_by_streams=("complete", "update"),
            skips_replaced=("skipChangeCommits", "ignoreChanges", "readChangeFeed"),
        ),
        stream_modes=("append", "update", "complete"),
        appends_by_batch=True,
        reread_by_streams=True,
        session={
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        },
        jars="delta",
        needs="log_store",
    ),
    "iceberg": StorageType(
        f"{_PROVIDERS}.tables.iceberg:IcebergProvider",
        (CATALOG_TAG, CONNECTION_TAG, EXTRA_COLUMNS_TAG, NEW_COLUMNS_TAG, PATH_TAG, TABLE_TAG),
        checks.iceberg_problems,
        place="folder",
        write_modes=WRITE_MODES,
        source=StreamSource(
            offsets=checks.iceberg_offsets_problem,
            replaced_by_runs=("overwrite", "overwrite_interval"),
            replaced_by_streams=("complete", "update"),
            skips_replaced=("streaming-skip-overwrite-snapshots",),
        ),
        stream_modes=("append", "update", "complete"),
        appends_by_batch=True,
        reread_by_streams=True,
        session={
            "spark.sql.extensions": (
                "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
            ),
        },
        jars="iceberg",
        needs="rename",
    ),
    "jdbc": StorageType(
        f"{_PROVIDERS}.jdbc:JdbcProvider",
        (CONNECTION_TAG, DRIVER_TAG, EXTRA_COLUMNS_TAG, QUERY_TAG, TABLE_TAG, URL_TAG),
        checks.jdbc_problems,
        is_written=False,
    ),
    "json": _files("JsonProvider"),
    "kafka": StorageType(
        f"{_PROVIDERS}.kafka.provider:KafkaProvider",
        (
            *(CONNECTION_TAG, KEY_TAG, MALFORMED_TAG, PARTITIONS_TAG, SERVERS_TAG, TOPIC_TAG),
            VALUE_FORMAT_TAG,
        ),
        kafka_problems,
        place="topic",
        has_other_columns=True,
        write_modes=(),
        source=StreamSource(offsets=checks.kafka_offsets_problem, by_row=True),
        stream_modes=("append", "update"),
        written_by_row=True,
        jars="kafka",
    ),
    "memory": StorageType(f"{_PROVIDERS}.memory:MemoryProvider", takes_options=False),
    "parquet": StorageType(
        f"{_PROVIDERS}.parquet.provider:ParquetProvider",
        (EXTRA_COLUMNS_TAG, GRACE_TAG, PATH_TAG),
        place="folder",
        partitions_are_folders=True,
        write_modes=("overwrite", "overwrite_interval", "append"),
        source=StreamSource(
            needs_schema=True,
            replaced_by_runs=("overwrite", "overwrite_interval"),
            replaced_by_streams=("complete",),
        ),
        stream_modes=("append", "complete"),
        needs="log",
    ),
    "rate": StorageType(
        f"{_PROVIDERS}.rate:RateProvider", is_written=False, source=StreamSource(by_row=True)
    ),
    "table": StorageType(
        f"{_PROVIDERS}.tables.catalog:CatalogTableProvider",
        (EXTRA_COLUMNS_TAG, FORMAT_TAG, PATH_TAG, TABLE_TAG),
        checks.table_problems,
        place="table",
        partitions_are_folders=True,
        needs="listing",
    ),
}
"""By the names that ``provider_type`` has for them."""


def provider_type_of(entity: EntityMetadata) -> str:
    """Return how an entity is stored: its tag ``provider_type``, default ``parquet``."""
    return str(entity.tags.get(PROVIDER_TYPE_TAG, "parquet"))


def storage_type_of(entity: EntityMetadata) -> StorageType | None:
    """Return the row of an entity's storage type, or None for one from another distribution."""
    return STORAGE_TYPES.get(provider_type_of(entity))


def is_class_reference(kind: str) -> bool:
    """Return whether a provider type names a class: ``package.module:Class``."""
    return _CLASS_REFERENCE.fullmatch(kind) is not None


def registered_types() -> dict[str, list[EntryPoint]]:
    """Return the entry points of installed distributions by name; more than one is ambiguous."""
    from importlib.metadata import entry_points  # costs more than most plans: only on demand

    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        found.setdefault(entry.name, {})[entry.value] = entry
    return {
        name: [by_value[value] for value in sorted(by_value)] for name, by_value in found.items()
    }
