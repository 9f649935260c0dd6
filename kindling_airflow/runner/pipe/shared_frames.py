"""Entities kept in a Spark session between the pipes that read them.

What is kept is a *slice*: an entity, where it lies, and the interval that is read of it. Pipes that
read the same slice get the same persisted DataFrame; every other read goes to the storage. Spark
itself matches kept data by the paths of the files, not by what is in them, so what is kept of a
table must be forgotten when the table is published again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from pyspark import StorageLevel
from pyspark.sql import DataFrame

OnRead = Callable[[str, bool], None]


class Slice(NamedTuple):
    """What is read: two reads of the same slice may have the same data."""

    entity_id: str
    location: str
    interval: tuple[str, str] | None


@dataclass(slots=True)
class _Kept:
    """One slice; the lock is held while the first reader reads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    frame: DataFrame | None = None
    rows: int | None = None


class SharedFrames:
    """The slices that one session keeps; may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[str, tuple[str, OnRead]] = {}
        self._kept: dict[Slice, _Kept] = {}

    def share(self, entity_id: str, level: str, on_read: OnRead) -> None:
        """Keep what is read of an entity from now on.

        Args:
            entity_id: the entity.
            level: ``MEMORY_ONLY``, ``MEMORY_AND_DISK`` or ``DISK_ONLY``.
            on_read: is called with each reading pipe, and whether it got what was there already.
        """
        _storage_level(level)
        with self._lock:
            self._wanted[entity_id] = (level, on_read)

    def release(self, entity_id: str) -> None:
        """Forget an entity and keep nothing more of it. Does not wait for current readers."""
        with self._lock:
            self._wanted.pop(entity_id, None)
        self._forget(lambda part: part.entity_id == entity_id)

    def forget(self, location: str) -> None:
        """Forget what was read at a place, because its content has changed."""
        self._forget(lambda part: part.location == location)

    def read(
        self, part: Slice, pipe_id: str, load: Callable[[], tuple[DataFrame, int | None]]
    ) -> tuple[DataFrame, int | None]:
        """Return a slice's rows and their number, kept or loaded.

        Readers that come while the first one loads wait for it. If loading fails, the next one
        loads; an entity that is not shared is loaded by each reader.
        """
        with self._lock:
            wanted = self._wanted.get(part.entity_id)
            kept = _Kept() if wanted is None else self._kept.setdefault(part, _Kept())
        if wanted is None:
            return load()
        level, on_read = wanted
        with kept.lock:
            frame, rows, hit = kept.frame, kept.rows, kept.frame is not None
            if frame is None:
                frame, rows = load()
                with self._lock:
                    if self._kept.get(part) is kept:  # else it was released meanwhile
                        kept.frame, kept.rows = frame.persist(_storage_level(level)), rows
        on_read(pipe_id, hit)
        return frame, rows

    def _forget(self, concerned: Callable[[Slice], bool]) -> None:
        with self._lock:
            gone = [self._kept.pop(part) for part in tuple(self._kept) if concerned(part)]
            frames = [kept.frame for kept in gone if kept.frame is not None]
        for frame in frames:
            frame.unpersist()


def _storage_level(name: str) -> StorageLevel:
    """Return Spark's level: not serialised, as Spark keeps tables in its own columns anyway."""
    on_disk = name in ("MEMORY_AND_DISK", "DISK_ONLY")
    in_memory = name in ("MEMORY_ONLY", "MEMORY_AND_DISK")
    if not on_disk and not in_memory:
        raise ValueError(f"unknown storage level {name!r}")
    return StorageLevel(on_disk, in_memory, useOffHeap=False, deserialized=in_memory)
