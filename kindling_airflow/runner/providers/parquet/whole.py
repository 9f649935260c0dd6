"""A parquet table is replaced as a whole: two renames, and nothing lost wherever a driver dies.

    1. table   -> <previous>        from here ...
    2. staging -> table             ... to here, readers of this package read <previous>
    3. delete <previous>

A driver that dies between 1 and 2 loses nothing: readers fall back to ``previous``, and the next
publish puts it back first. Two drivers that publish at once leave one of the two results, whole: a
rename never goes into an existing table, so the slower one fails and is retried. What a rename
cannot give: other tools see no table between 1 and 2, and a reader in mid-scan loses its files at 1
and must try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.runner.providers.storage import area_of

if TYPE_CHECKING:
    from kindling_airflow.runner.providers.storage import Storage


def readable(storage: Storage, table: str) -> str | None:
    """Return where the table's rows are: in its place, or moved away; None if nowhere."""
    return table if storage.exists(table) else _newest(storage, _backups(storage, table))


def put_back(storage: Storage, table: str) -> None:
    """Do away with what a dead driver has left: its backup is the table, or is garbage."""
    # The order matters: a backup in this list whose table is there is never the last copy.
    leftovers = _backups(storage, table)
    if leftovers and not storage.exists(table):
        newest = max(leftovers, key=lambda path: (storage.modified(path), path))
        storage.move(newest, table)
        leftovers.remove(newest)
    for path in leftovers:
        storage.delete(path)


def publish_whole(storage: Storage, table: str, staged: str, attempt: str) -> None:
    """Put a staged folder in the table's place.

    Raises:
        EntityError: another driver published concurrently, or the file system refused.
    """
    put_back(storage, table)
    backup = f"{area_of(table, 'previous')}/{attempt}"
    replaces = storage.exists(table)
    if replaces:
        storage.move(table, backup)
    storage.move(staged, table)
    if replaces:
        storage.delete(backup)


def _backups(storage: Storage, table: str) -> list[str]:
    previous = area_of(table, "previous")
    return [f"{previous}/{name}" for name in storage.names(previous)]


def _newest(storage: Storage, paths: list[str]) -> str | None:
    return max(paths, key=lambda path: (storage.modified(path), path), default=None)
