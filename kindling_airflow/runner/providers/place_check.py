"""A driver's own look at the places that it writes to, before it reads anything.

A plan is checked when it is compiled, by the schemes that it names. A driver knows more: where a
template or a default file system leads, what a view of file systems is made of, which log store the
session has, whether the store behind ``s3a://`` keeps the condition of a conditional put, and
whether executors may write to the disks of other machines.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.runner.providers.storage import Storage, area_of
from kindling_airflow.tags.paths import is_named, table_name_of
from kindling_airflow.tags.storage_needs import checkpoint_problem, place_of, storage_problem
from kindling_airflow.tags.storage_types import provider_type_of, storage_type_of
from kindling_airflow.tags.storages import SHARED_DISK_PROPERTY

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.interface import ProviderContext
    from kindling_airflow.tags.stream_settings import StreamSettings

_OF_CATALOGS = ("catalog-impl", "type", "warehouse")
_LOG_STORES = ("spark.delta.logStore.{}.impl", "spark.delta.logStore.class")


def check_place(
    entity: EntityMetadata, context: ProviderContext, stream: StreamSettings | None = None
) -> None:
    """Return if an entity can be written to its place without losing what others publish.

    Args:
        entity: the output.
        context: the session and the warehouse.
        stream: how a stream writes it, if one does.

    Raises:
        DeclarationError: it cannot.
    """
    if place_of(entity, "/") is None:  # not a place of files, or not a type of this package
        return
    place, storage = context.location_of(entity), context.storage
    _check_disk(entity, place, context)
    can, scheme = storage.abilities(place), storage.scheme(place)
    keys = [key.format(scheme) for key in _LOG_STORES]
    if is_named(entity):
        keys += [f"spark.sql.catalog.{table_name_of(entity)[0]}.{key}" for key in _OF_CATALOGS]
    named = {key: context.spark.conf.get(key, None) for key in keys}
    conf = {key: value for key, value in named.items() if value}
    shown = place if scheme in place.partition("/")[0] else f"{scheme}:{place}"
    problem = storage_problem(entity, shown, stream=stream, conf=conf, abilities=can)
    if problem is None and _needs_creates(entity, storage, place):
        wrong = storage.probe(area_of(place, "probes"), uuid.uuid4().hex)
        if wrong:
            problem = (
                f"entity {entity.entityid!r}, {provider_type_of(entity)}, cannot be written to "
                f"{place!r} without losing rows: {wrong}\n"
                "  Fix: use a store that keeps conditional puts, or store it as iceberg in a "
                "catalog (provider.catalog: lake)."
            )
    if problem is not None:
        raise DeclarationError([problem])


def check_checkpoint(pipe_id: str, path: str, context: ProviderContext) -> None:
    """Return if a folder can hold a stream's checkpoint.

    Raises:
        DeclarationError: it cannot.
    """
    problem = checkpoint_problem(pipe_id, path, context.storage.abilities(path))
    if problem is not None:
        raise DeclarationError([problem])


def _check_disk(entity: EntityMetadata, place: str, context: ProviderContext) -> None:
    """Refuse a local disk where executors may write to those of other machines."""
    spark = context.spark
    master = str(spark.sparkContext.master)
    is_shared = str(spark.conf.get(SHARED_DISK_PROPERTY, "false")).lower() == "true"
    if context.storage.local_path(place) is None or is_shared or _in_one_process(master):
        return
    problem = (
        f"entity {entity.entityid!r} is written to {place!r}, a local disk, and the executors of "
        f"{master!r} may run on other machines: what they write would not be in the table\n"
        "  Fix: use storage that every machine reaches, such as hdfs://. If all machines mount "
        "this folder from one network disk, set [kindling] shared_warehouse = True, or Spark's "
        f"property {SHARED_DISK_PROPERTY} to true."
    )
    raise DeclarationError([problem])


def _in_one_process(master: str) -> bool:
    return master == "local" or master.startswith("local[")


def _needs_creates(entity: EntityMetadata, storage: Storage, place: str) -> bool:
    """Return whether the entity is published by a file that is created only if it is absent."""
    known = storage_type_of(entity)
    can = storage.abilities(place)
    needs_log = known is not None and known.needs == "log" and not can.atomic_rename
    return needs_log and can.create_if_absent == "conditional"
