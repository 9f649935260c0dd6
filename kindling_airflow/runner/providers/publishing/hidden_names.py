"""Finds files that Spark ignores when it reads a folder, by their names alone.

    _SUCCESS    .crc    part-0._COPYING_    .day=1/    _day/     passed over
    part-0.parquet      _day=1/             day=_x/              read

Whatever decides whether a folder has data, and which files are the table's, asks here, so that it
agrees with what readers get. The rules are those of Spark 4: ``HadoopFSUtils`` for every name on
the way down, ``PartitioningAwareFileIndex`` for files.
"""

from __future__ import annotations

BEING_COPIED = "._COPYING_"


def is_hidden(name: str) -> bool:
    """Return whether Spark passes over a file or folder of this name.

    >>> [is_hidden(name) for name in ("_day=1", ".day=1", "_SUCCESS", "day=a._COPYING_")]
    [False, True, True, True]
    """
    return (
        name.startswith(".")
        or (name.startswith("_") and "=" not in name)
        or name.endswith(BEING_COPIED)
    )


def has_hidden_part(path: str) -> bool:
    """Return whether Spark passes over a file, by a relative path in the folder that it reads."""
    return any(map(is_hidden, path.split("/")))
