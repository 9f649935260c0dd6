"""What storage types need of the file systems that their entities are on, and what is missing.

Only what is written is looked at: to read, any file system will do. A plan is checked when it is
compiled, as far as places are known by then; a driver checks its own output once more, with what it
finds behind the scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.names import CATALOG_TAG, PATH_TAG, TABLE_TAG
from kindling_airflow.tags.paths import is_absolute, is_named, table_name_of
from kindling_airflow.tags.storage_types import provider_type_of, storage_type_of
from kindling_airflow.tags.storages import (
    StorageAbilities,
    abilities_of,
    is_local,
    scheme_of,
    unsafe_log_store,
)
from kindling_airflow.tags.stream_settings import StreamSettings

__all__ = [
    "checkpoint_problem",
    "local_places",
    "place_of",
    "plan_storage_problems",
    "storage_problem",
]

Conf = Mapping[str, str]

_RENAMES = "a rename there is not one step that fails where the target exists"
_CREATES = "of two drivers that create one file there at once, both may believe that they did"
_LISTS = "a list of files there may lack some that are complete"
_CATALOG = f"as iceberg in a catalog ({CATALOG_TAG}: lake)"
_LOG_STORE = (
    "configure a log store for several drivers (spark.delta.logStore.s3a.impl), or store it "
    f"{_CATALOG}"
)


def place_of(entity: EntityMetadata, warehouse: str | None) -> str | None:
    """Return the place that an entity's files are written to, as far as its file system is known.

    >>> place_of(EntityMetadata("a"), "s3a://lake/"), place_of(EntityMetadata("a"), "{{ x }}")
    ('s3a://lake/a', None)
    """
    known = storage_type_of(entity)
    if known is None or not known.is_written or known.place not in ("folder", "table"):
        return None
    path = str(entity.tags.get(PATH_TAG, entity.entityid))
    if is_absolute(path):
        return path
    if warehouse is None or not is_absolute(warehouse):
        return None
    return f"{warehouse.rstrip('/')}/{path}"


def storage_problem(
    entity: EntityMetadata,
    place: str,
    *,
    stream: StreamSettings | None = None,
    conf: Conf | None = None,
    abilities: StorageAbilities | None = None,
) -> str | None:
    """Return why an entity must not be written to a place, and what helps; None if it may.

    Args:
        entity: the entity.
        place: its place, a path or URI.
        stream: of the streaming pipe that writes it, if it is one.
        conf: Spark's settings; None where they are not known.
        abilities: what was found to be behind the scheme; default: what its row says.
    """
    known = storage_type_of(entity)
    need = "" if known is None else known.needs
    if not need:
        return None
    if need == "rename" and is_named(entity):
        folders = _catalog_folder(entity, place, conf or {})
        if folders is None:  # files of a table that a catalog has
            need = "listing"
        else:
            place, abilities = folders, None
    can = abilities_of(place) if abilities is None else abilities
    is_sink = stream is not None and stream.output_mode == "append"
    remedy = f"store it {_CATALOG}, or use HDFS"
    missing: str | None = None
    if not can.consistent_listing:
        missing = _LISTS
    elif need == "log_store":
        missing, remedy = unsafe_log_store(place, conf), _LOG_STORE
    elif need == "log" and not is_sink:
        missing = None if can.atomic_rename or can.create_if_absent else _CREATES
    elif need in ("rename", "log"):
        missing = None if can.atomic_rename else _RENAMES
    if missing is None:
        return None
    kind = provider_type_of(entity)
    where = f"{kind} in folders" if need == "rename" else kind
    return (
        f"entity {entity.entityid!r}, {where}{' by a stream' if stream else ''}, cannot be written "
        f"to {place!r} without losing rows: {missing}{_unknown(place)}\n  Fix: {remedy}."
    )


def checkpoint_problem(
    pipe_id: str, place: str, abilities: StorageAbilities | None = None
) -> str | None:
    """Return why a place cannot hold a stream's checkpoint; None if it can.

    Spark decides by a rename which of two queries has a batch.
    """
    can = abilities_of(place) if abilities is None else abilities
    if can.atomic_rename and can.consistent_listing:
        return None
    return (
        f"pipe {pipe_id!r}: its checkpoint cannot be at {place!r}, because {_RENAMES}: two drivers "
        f"of one stream would take the same batch{_unknown(place)}\n"
        "  Fix: set 'checkpoints' to a folder on HDFS, or on a disk that every driver mounts."
    )


def plan_storage_problems(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    warehouse: str | None,
    *,
    streams: Mapping[str, StreamSettings] | None = None,
    checkpoints: str | None = None,
    conf_of: Callable[[str], Conf | None] = lambda _pipe_id: None,
) -> list[str]:
    """Return what the pipes of a plan write to places that do not keep what their formats promise.

    Args:
        pipes: the pipes.
        entities: the declarations.
        warehouse: the root of relative paths; None, or a template, where it is not known.
        streams: the settings of those that are streams.
        checkpoints: the root of checkpoints; None for the warehouse's own.
        conf_of: returns Spark's settings for a pipe; None where they are not known.
    """
    found: dict[str, None] = {}
    for pipe in pipes:
        stream = (streams or {}).get(pipe.pipeid)
        entity = entities.definition_or_default(pipe.output_entity_id)
        place = place_of(entity, warehouse)
        if place is not None:
            conf = conf_of(pipe.pipeid)
            text = storage_problem(entity, place, stream=stream, conf=conf)
            if text is not None:
                found[text] = None
        if stream is not None:
            path = _checkpoint_place(stream.checkpoint, checkpoints, warehouse)
            text = None if path is None else checkpoint_problem(pipe.pipeid, path)
            if text is not None:
                found[text] = None
    return list(found)


def local_places(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    warehouse: str,
    streams: Collection[str] = (),
    checkpoints: str | None = None,
) -> list[str]:
    """Return the places on a machine's own disk that pipes write to, each once."""
    found: dict[str, None] = {}
    for pipe in pipes:
        entity = entities.definition_or_default(pipe.output_entity_id)
        place = place_of(entity, warehouse)
        if place is not None and not _is_in_catalog(entity) and is_local(place):
            found[warehouse if place.startswith(f"{warehouse.rstrip('/')}/") else place] = None
        if pipe.pipeid in streams:
            root = checkpoints or warehouse
            if is_absolute(root) and is_local(root):
                found[root] = None
    return list(found)


def _is_in_catalog(entity: EntityMetadata) -> bool:
    known = storage_type_of(entity)
    return known is not None and known.needs == "rename" and TABLE_TAG in entity.tags


def _catalog_folder(entity: EntityMetadata, place: str, conf: Conf) -> str | None:
    """Return where a catalog has its folders that is nothing else; None of any other catalog."""
    prefix = f"spark.sql.catalog.{table_name_of(entity)[0]}"
    in_folders = str(conf.get(f"{prefix}.catalog-impl") or "").endswith(".HadoopCatalog")
    if not in_folders and conf.get(f"{prefix}.type") != "hadoop":
        return None
    return str(conf.get(f"{prefix}.warehouse") or place)


def _checkpoint_place(name: str, checkpoints: str | None, warehouse: str | None) -> str | None:
    for path in (name, checkpoints or warehouse):
        if path and is_absolute(path):
            return path if path == name else f"{path.rstrip('/')}/{name}"
    return None


def _unknown(place: str) -> str:
    scheme = scheme_of(place)
    known = abilities_of(place).consistent_listing
    return "" if known or scheme is None else f" (nothing is known of {scheme}://)"
