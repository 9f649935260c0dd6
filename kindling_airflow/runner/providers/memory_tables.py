"""Stores the tables of ``provider_type: memory``, in the session of one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class MemoryTables:
    """The tables that one session keeps; may be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, DataFrame] = {}

    def get(self, entity_id: str) -> DataFrame | None:
        """Return a table, or None where there is none."""
        with self._lock:
            return self._tables.get(entity_id)

    def put(self, entity_id: str, frame: DataFrame) -> None:
        """Store a table, in place of an earlier one."""
        with self._lock:
            self._tables[entity_id] = frame
