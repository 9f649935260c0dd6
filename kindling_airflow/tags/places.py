"""Where entities are stored, and which of them share a place under different ids.

A graph knows entities by their ids. One table under two ids has no edge between the pipe that
writes it and the one that reads it: they run side by side. And a folder inside the folder of a
table is moved and deleted together with it.

    one place, two ids, both read                  allowed
    one place, two ids, one or both written        refused
    a place inside of a place that is written      refused
    a written place inside of a place that is read refused, where readers would see it

Only names are compared: a path is made plain, and files and catalogs are not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kindling_airflow.common.path_names import escape_component
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.tags.kafka import topic_of
from kindling_airflow.tags.names import (
    CATALOG_TAG,
    CONNECTION_TAG,
    PATH_TAG,
    PROVIDER_TYPE_TAG,
    SERVERS_TAG,
    TABLE_TAG,
    TOPIC_TAG,
)
from kindling_airflow.tags.paths import is_absolute, is_named, table_name_of
from kindling_airflow.tags.storage_types import storage_type_of

__all__ = ["place_problems", "places_of"]

_TAGS = frozenset({CATALOG_TAG, PROVIDER_TYPE_TAG, PATH_TAG, TABLE_TAG})
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://([^/]*))?(.*)", re.DOTALL)
_SAME_SCHEMES = {"s3a": "s3", "s3n": "s3"}
_GLOB = re.compile(r"[{}\[\]*?\\]")
_SESSION_CATALOG = ("spark_catalog", "default")  # what a shorter name of a table stands for


class Place(NamedTuple):
    """One place.

    Attributes:
        root: the file system and what else paths begin with; "" for the warehouse; else the kind.
        parts: the folders, or the parts of the name.
        text: the place, for the error.
        holds_others: whether its readers also read the places inside it.
    """

    root: str
    parts: tuple[str, ...]
    text: str
    holds_others: bool = True


@dataclass(frozen=True, slots=True)
class _Warehouse:
    """The root of relative paths; without a root where that is not known."""

    root: str | None
    parts: tuple[str, ...]
    resolve: Callable[[str], str]

    @classmethod
    def at(cls, path: str | None, resolve: Callable[[str], str]) -> _Warehouse:
        if path is None or not is_absolute(path):
            return cls(None, (), resolve)
        root, parts = _plain(path, resolve)
        return cls(root, parts, resolve)

    def place(self, path: str) -> tuple[str, tuple[str, ...]]:
        """Return a path by its parts; relative to the warehouse if it is inside."""
        if not is_absolute(path):
            return "", tuple(part for part in path.split("/") if part not in ("", "."))
        root, parts = _plain(path, self.resolve)
        size = len(self.parts)
        if root == self.root and parts[:size] == self.parts and len(parts) > size:
            return "", parts[size:]
        return root, parts

    def is_in(self, place: Place) -> bool:
        """Return whether a place is the warehouse, or contains it."""
        return place.root == self.root and self.parts[: len(place.parts)] == place.parts


def place_problems(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    warehouse: str | None = None,
    resolve: Callable[[str], str] = lambda path: path,
) -> list[str]:
    """Return which entities share a place, or are nested, where one of them is written.

    Args:
        pipes: the pipes of a plan.
        entities: the declarations.
        warehouse: the root of relative paths, as far as it is known.
        resolve: makes a path of this machine plain, symbolic links among it.
    """
    writers: dict[str, str] = {}
    read: dict[str, None] = {}
    for pipe in pipes:
        writers.setdefault(pipe.output_entity_id, pipe.pipeid)
        read.update(dict.fromkeys(pipe.input_entity_ids))
    touched = (*writers, *(entity_id for entity_id in read if entity_id not in writers))
    declared = filter(None, map(entities.get_entity_definition, touched))
    if not any(not _TAGS.isdisjoint(entity.tags) for entity in declared):
        return []  # as nearly always: plain tables lie in folders named by their ids
    home = _Warehouse.at(warehouse, resolve)
    found = [
        (entity_id, place)
        for entity_id in touched
        for place in _places(entities.definition_or_default(entity_id), home, entity_id in writers)
    ]
    return [*_same(found, writers), *_nested(found, writers, home)]


def places_of(entity: EntityMetadata, warehouse: str) -> tuple[tuple[str, str], ...]:
    """Return the kinds and names of what an entity is written to, in one warehouse or another.

    >>> places_of(EntityMetadata("silver.orders"), "s3a://lake/")
    (('folder', 's3://lake/silver.orders'),)

    Args:
        entity: the entity.
        warehouse: the root of the tables, as the definition has it.
    """
    home = _Warehouse(None, (), lambda path: path)
    base = _joined(*_plain(warehouse, home.resolve)) if is_absolute(warehouse) else warehouse
    found = []
    for place in _places(entity, home, is_written=True):
        if place.root in ("table", "topic"):
            found.append((place.root, place.parts[0].replace("\0", ".")))
        elif place.root:
            found.append(("folder", _joined(place.root, place.parts)))
        else:
            found.append(("folder", "/".join(filter(None, (base.rstrip("/"), *place.parts)))))
    return tuple(found)


def _joined(root: str, parts: tuple[str, ...]) -> str:
    return f"{root.rstrip('/')}/{'/'.join(parts)}"


def _same(found: list[tuple[str, Place]], writers: dict[str, str]) -> Iterator[str]:
    taken: dict[tuple[str, tuple[str, ...]], str] = {}
    for entity_id, place in found:  # those that are written come first
        look = taken.setdefault if entity_id in writers else taken.get
        other = look(place[:2], entity_id)
        if other == entity_id:
            continue
        if entity_id in writers:
            yield (
                f"entities {other!r} and {entity_id!r} are both written to the {place.text}\n"
                "  Fix: give one of them another "
                + (f"{TOPIC_TAG}." if place.root == "topic" else f"{PATH_TAG} or {TABLE_TAG}.")
            )
        else:
            yield (
                f"entities {other!r} and {entity_id!r} are the same {place.text}: pipe "
                f"{writers[other]!r} writes the first, and pipes that read the second by its id do "
                "not wait for it\n"
                f"  Fix: use one id: let the pipes that read {entity_id!r} read {other!r}."
            )


def _nested(
    found: list[tuple[str, Place]], writers: dict[str, str], home: _Warehouse
) -> Iterator[str]:
    outer = {place[:2]: (entity_id, place) for entity_id, place in reversed(found)}
    for entity_id, place in found:
        if entity_id in writers and home.is_in(place):
            yield (
                f"entity {entity_id!r} is written to the {place.text}, which is the warehouse "
                f"or contains it\n  Fix: use a {PATH_TAG} beneath the warehouse."
            )
        for size in range(1, len(place.parts)):
            other, around = outer.get((place.root, place.parts[:size]), (entity_id, place))
            is_data = around.holds_others and not place.parts[size].startswith(("_", "."))
            if other != entity_id and (other in writers or (entity_id in writers and is_data)):
                yield (
                    f"entity {entity_id!r}, the {place.text}, lies inside entity {other!r}, the "
                    f"{around.text}: writing or reading the outer one would touch the inner one\n"
                    f"  Fix: give one of them a {PATH_TAG} outside the other's, or use one id."
                )


def _places(entity: EntityMetadata, home: _Warehouse, is_written: bool) -> Iterator[Place]:
    known, path = storage_type_of(entity), entity.tags.get(PATH_TAG)
    kind = "folder" if known is None else known.place
    named = kind == "table" or (known is not None and is_named(entity) and kind == "folder")
    if kind == "topic":
        servers = str(entity.tags.get(SERVERS_TAG, entity.tags.get(CONNECTION_TAG, "")))
        where = ",".join(sorted(servers.casefold().split(",")))
        yield Place("topic", (f"{where}/{topic_of(entity)}",), f"topic {topic_of(entity)!r}")
    if named:
        name = table_name_of(entity)
        lead = _SESSION_CATALOG[: 3 - len(name)] if kind == "table" else ()
        full = "\0".join(part.casefold() for part in (*lead, *name))
        yield Place("table", (full,), f"table {'.'.join(name)!r}")
        if kind != "table" or not is_written:
            return
    if path is None:
        if known is not None and kind in ("folder", "table"):
            folder = escape_component(entity.entityid)
            yield Place("", (folder,), f"folder {folder!r}")
    elif kind in ("folder", "table"):
        yield Place(*home.place(str(path)), f"folder {str(path)!r}")
    elif kind == "files":
        pattern = _GLOB.search(str(path))
        plain = str(path) if pattern is None else str(path)[: pattern.start()].rpartition("/")[0]
        yield Place(*home.place(plain), f"folder {str(path)!r}", holds_others=pattern is None)


def _plain(path: str, resolve: Callable[[str], str]) -> tuple[str, tuple[str, ...]]:
    """Return the file system of an absolute path or URI, and its folders, without detours."""
    root = "/"
    found = _URI.fullmatch(path)
    if found is not None:
        scheme, host, path = found[1].lower(), (found[2] or "").lower(), found[3]
        if scheme != "file" or host not in ("", "localhost"):
            root = f"{_SAME_SCHEMES.get(scheme, scheme)}://{host}"
    parts: list[str] = []
    for part in (resolve(path) if root == "/" else path).split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return root, tuple(parts)
