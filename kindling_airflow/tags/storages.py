"""What the file systems behind the places of entities can do, by the schemes of their URIs.

    abilities_of("s3a://lake/silver")      no atomic rename; conditional creates; consistent lists
    abilities_of("ftp://host/lake")        nothing: a scheme without a row can do nothing

A row is what the file system guarantees to several drivers that use it at once, whether they know
of each other or not. What depends on the store behind a scheme, or on its configuration, is probed
by a driver as well (:mod:`kindling_airflow.runner.providers.place_check`). Which of the rows were
run, and which are taken from documentation, is in ADR 0039.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "NOTHING",
    "SHARED_DISK_PROPERTY",
    "STORAGES",
    "StorageAbilities",
    "abilities_of",
    "is_local",
    "log_store_of",
    "scheme_of",
    "unsafe_log_store",
]

CreateIfAbsent = Literal["", "rename", "create", "conditional"]

SHARED_DISK_PROPERTY = "spark.kindling.sharedWarehouse"
"""Spark's property that says that a local warehouse is one disk, which all machines mount."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):/")


@dataclass(frozen=True, slots=True)
class StorageAbilities:
    """What a file system can do.

    Attributes:
        atomic_rename: a rename of a file or folder happens in one step, and fails where the target
            exists; of several at once one succeeds.
        create_if_absent: how a file is created of which several drivers want to be the creator, so
            that one of them is, and readers never find it half written: ``rename`` (a finished file
            is renamed to its name), ``create`` (a create that does not overwrite), ``conditional``
            (a put with a condition); "" where none of these is safe.
        consistent_listing: a list of files has every file that was complete before.
        log_store: whether Delta's own log store for the scheme is safe for several drivers.
        is_local: it is a disk of one machine.
    """

    atomic_rename: bool = False
    create_if_absent: CreateIfAbsent = ""
    consistent_listing: bool = False
    log_store: bool = False
    is_local: bool = False


NOTHING = StorageAbilities()
"""Of a scheme that has no row."""

_FILE = StorageAbilities(True, "rename", True, log_store=True, is_local=True)
_HDFS = StorageAbilities(True, "rename", True, log_store=True)
_AZURE = StorageAbilities(False, "rename", True, log_store=True)
_GOOGLE = StorageAbilities(False, "create", True, log_store=True)
_CONSISTENT = StorageAbilities(consistent_listing=True)
_BLOBS = StorageAbilities(consistent_listing=True, log_store=True)

STORAGES: Mapping[str, StorageAbilities] = {
    "file": _FILE,
    "hdfs": _HDFS,
    "viewfs": _HDFS,
    "webhdfs": _HDFS,
    "swebhdfs": _HDFS,
    "abfs": _AZURE,
    "abfss": _AZURE,
    "gs": _GOOGLE,
    "s3a": StorageAbilities(False, "conditional", True),
    "s3": _CONSISTENT,
    "s3n": NOTHING,
    "wasb": _BLOBS,
    "wasbs": _BLOBS,
    "dbfs": NOTHING,
}
"""By scheme. ``s3`` is whatever a distribution has put behind it, so not the S3A of Hadoop."""

_LOG_STORES = frozenset({"io.delta.storage.S3DynamoDBLogStore"})
_UNSAFE_LOG_STORES = frozenset(
    {
        "io.delta.storage.LocalLogStore",
        "io.delta.storage.S3SingleDriverLogStore",
        "org.apache.spark.sql.delta.storage.LocalLogStore",
        "org.apache.spark.sql.delta.storage.S3SingleDriverLogStore",
    }
)


def scheme_of(path: str) -> str | None:
    """Return the scheme of a path or URI; None of a path without any.

    >>> scheme_of("S3A://lake/{{ ds }}"), scheme_of("file:/data"), scheme_of("/data")
    ('s3a', 'file', None)
    """
    found = _SCHEME.match(path)
    return found[1].lower() if found else None


def abilities_of(path: str) -> StorageAbilities:
    """Return what the file system of a path can do; without a scheme, it is taken for a disk."""
    return STORAGES.get(scheme_of(path) or "file", NOTHING)


def is_local(path: str) -> bool:
    """Return whether a path names a disk of one machine."""
    return abilities_of(path).is_local


def log_store_of(scheme: str, conf: Mapping[str, str]) -> str | None:
    """Return the log store that Spark's settings name for Delta tables of a scheme.

    >>> log_store_of("s3a", {"spark.delta.logStore.s3a.impl": "io.delta.storage.X"})
    'io.delta.storage.X'
    """
    for key in (f"spark.delta.logStore.{scheme}.impl", "spark.delta.logStore.class"):
        if conf.get(key):
            return str(conf[key])
    return None


def unsafe_log_store(path: str, conf: Mapping[str, str] | None) -> str | None:
    """Return why Delta tables of a place are not safe with several drivers; None if they are.

    Args:
        path: the place.
        conf: Spark's settings; None where they are not known, and a driver has to look.
    """
    scheme = scheme_of(path) or "file"
    named = None if conf is None else log_store_of(scheme, conf)
    if named in _LOG_STORES or (conf is None and scheme in ("s3", "s3a", "s3n")):
        return None
    if named in _UNSAFE_LOG_STORES and scheme != "file":
        return f"Delta's log store {named} gives one version to two drivers that commit at once"
    if STORAGES.get(scheme, NOTHING).log_store:
        return None
    if named is not None:
        return f"nothing is known of Delta's log store {named}"
    return f"Delta's log store for {scheme}:// gives one version to two drivers that commit at once"
