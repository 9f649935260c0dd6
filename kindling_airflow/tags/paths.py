"""Paths and table names in tags: what they are, and which of them cannot be."""

from __future__ import annotations

import re

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.names import CATALOG_TAG, PATH_TAG, TABLE_TAG

__all__ = ["is_absolute", "is_catalog_name", "is_named", "path_problem", "table_name_of"]

_SCHEME = re.compile(r"[^/]*:/")  # also of file:/data, as Hadoop writes a path of this machine
_LONGEST_FILE_NAME = 255
_CATALOG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_UNSAFE_IN_TABLE = re.compile(r"[^A-Za-z0-9_]|(?<=_)_")
_DEFAULT_NAMESPACE = "default"


def is_absolute(path: str) -> bool:
    """Return whether a ``provider.path`` is taken as it is, wherever the warehouse is."""
    return path.startswith("/") or _SCHEME.match(path) is not None


def path_problem(path: str) -> str:
    """Return what is wrong with a relative ``provider.path``; "" if nothing is."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        what = "leaves the warehouse"
    elif not parts:
        what = "is the warehouse itself"
    elif "_kindling" in parts:
        what = "is in '_kindling', where results are staged"
    elif any(len(part.encode("utf-8", "surrogatepass")) > _LONGEST_FILE_NAME for part in parts):
        what = f"has a name of more than {_LONGEST_FILE_NAME} bytes"
    else:
        return ""
    remedy = "use a path beneath the warehouse root, or an absolute path or URI"
    return f"tag {PATH_TAG} {path!r} {what}\n  Fix: {remedy}."


def table_name_of(entity: EntityMetadata) -> tuple[str, ...]:
    """Return the parts of a catalog table's name: the tag ``provider.table``, else the id.

    A text is split at its dots; a list of names is taken as it is. With ``provider.catalog`` the
    name follows from the id: the part in front of its first dot is the namespace, and what is no
    letter, digit or single underscore is escaped, so that every catalog has such names, and
    different ids have different ones.

    >>> table_name_of(EntityMetadata("silver.orders.eu", tags={"provider.catalog": "lake"}))
    ('lake', 'silver', 'orders__2Eeu')
    """
    if CATALOG_TAG in entity.tags and TABLE_TAG not in entity.tags:
        namespace, dot, rest = entity.entityid.partition(".")
        if not dot or not namespace or not rest:
            namespace, rest = _DEFAULT_NAMESPACE, entity.entityid
        return (str(entity.tags[CATALOG_TAG]), _table_part(namespace), _table_part(rest))
    name = entity.tags.get(TABLE_TAG, entity.entityid)
    parts = name if isinstance(name, (list, tuple)) else str(name).split(".")
    return tuple(str(part) for part in parts)


def is_catalog_name(value: object) -> bool:
    """Return whether a value names a catalog as the keys of Spark's settings can have it."""
    return isinstance(value, str) and _CATALOG.fullmatch(value) is not None


def is_named(entity: EntityMetadata) -> bool:
    """Return whether tags name an entity's table in a catalog, in place of a folder."""
    return TABLE_TAG in entity.tags or CATALOG_TAG in entity.tags


def _table_part(text: str) -> str:
    raw = text.encode("utf-8", "surrogatepass").decode("latin-1")  # a character for each byte
    return _UNSAFE_IN_TABLE.sub(lambda found: f"__{ord(found[0]):02X}", raw)
