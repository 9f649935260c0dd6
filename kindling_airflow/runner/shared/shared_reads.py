"""Entities that several pipes of a session read, kept in its memory from the first to the last.

What is kept is read in the session that no pipe has, so no pipe's SQL configuration is in it. Of an
entity that a pipe writes, it is kept only while what is there was published in this driver.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.runner.pipe.inputs import ReadInput, read_entity
from kindling_airflow.runner.pipe.query import in_session
from kindling_airflow.runner.pipe.shared_frames import SharedFrames, Slice
from kindling_airflow.runner.providers.interface import EntityProvider, ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for
from kindling_airflow.runner.shared.attempt import Attempt
from kindling_airflow.tags.intervals import IntervalSlice

__all__ = ["SharedReads"]

_HIT, _MISS = "hit", "miss"


@dataclass(slots=True)
class _Entity:
    """An entity that is kept: its writer, or "", and the readers that have not ended."""

    writer: str
    readers: set[str]


class SharedReads:
    """What a driver keeps; may be used by many threads.

    Args:
        spark: the session that no pipe has.
        warehouse: root of the entities' tables.
        shared: the entities, as the request of the session lists them.
    """

    def __init__(
        self, spark: SparkSession, warehouse: str, shared: Iterable[Mapping[str, Any]]
    ) -> None:
        self._context = ProviderContext(spark, warehouse)
        self._frames = SharedFrames()
        self._lock = threading.Lock()
        self._entities: dict[str, _Entity] = {}
        self._published: set[str] = set()
        self._seen: dict[tuple[str, str], str] = {}  # hit or miss, by pipe and entity
        for item in shared:
            entity_id = str(item["entity_id"])
            self._entities[entity_id] = _Entity(str(item["writer"]), set(item["readers"]))
            self._frames.share(entity_id, str(item["level"]), self._noting(entity_id))

    def reader_for(self, attempt: Attempt) -> ReadInput:
        """Return a function that reads the inputs of an attempt, kept or not."""

        def read(
            pipe: PipeMetadata,
            entity: EntityMetadata,
            provider: EntityProvider,
            part: IntervalSlice | None,
        ) -> tuple[DataFrame, int | None]:
            if not self._is_kept(pipe, entity.entityid):
                return read_entity(pipe, entity, provider, part)
            own = provider_for(entity, self._context)
            interval = None if part is None else (part.start.isoformat(), part.end.isoformat())
            wanted = Slice(entity.entityid, own.describe(entity).location, interval)
            frame, rows = self._frames.read(
                wanted, pipe.pipeid, lambda: read_entity(pipe, entity, own, part)
            )
            return in_session(attempt.session, frame), rows

        return read

    def published(self, pipe_id: str, location: str) -> None:
        """Record that a pipe of this driver has published; what was kept of the place is old."""
        self._frames.forget(location)
        with self._lock:
            self._published.add(pipe_id)

    def ended(self, pipe_ids: Iterable[str]) -> None:
        """Release what has no more readers now that pipes have ended."""
        gone = set(pipe_ids)
        with self._lock:
            without = []
            for entity_id, entity in self._entities.items():
                had = bool(entity.readers)
                entity.readers -= gone
                if had and not entity.readers:
                    without.append(entity_id)
        for entity_id in without:
            self._frames.release(entity_id)

    def restarted(self, pipe_ids: Iterable[str]) -> None:
        """Keep nothing more of what pipes write that run once more, here or elsewhere."""
        again = set(pipe_ids)
        with self._lock:
            self._published -= again
            outdated = [e for e, entity in self._entities.items() if entity.writer in again]
            for entity_id in outdated:
                del self._entities[entity_id]
        for entity_id in outdated:
            self._frames.release(entity_id)

    def report(self, pipe_id: str) -> dict[str, str]:
        """Return of each shared entity that a pipe has read whether it was there already."""
        with self._lock:
            return {e: how for (pipe, e), how in self._seen.items() if pipe == pipe_id}

    def _is_kept(self, pipe: PipeMetadata, entity_id: str) -> bool:
        if entity_id == pipe.output_entity_id:
            return False
        with self._lock:
            found = self._entities.get(entity_id)
            return found is not None and (not found.writer or found.writer in self._published)

    def _noting(self, entity_id: str) -> Any:
        def note(pipe_id: str, hit: bool) -> None:
            with self._lock:
                self._seen[pipe_id, entity_id] = _HIT if hit else _MISS

        return note
