"""Paths and table names in tags: what they are, and which of them cannot be."""

from __future__ import annotations

import re

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.tags.names import PATH_TAG, TABLE_TAG

__all__ = ["is_absolute", "path_problem", "table_name_of"]

_SCHEME = re.compile(r"[^/]*:/")  # also of file:/data, as Hadoop writes a path of this machine
_LONGEST_FILE_NAME = 255


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

    A text is split at its dots; a list of names is taken as it is.
    """
    name = entity.tags.get(TABLE_TAG, entity.entityid)
    parts = name if isinstance(name, (list, tuple)) else str(name).split(".")
    return tuple(str(part) for part in parts)
