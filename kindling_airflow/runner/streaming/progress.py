"""The numbers of a running query, from Spark's progress reports."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql.streaming.query import StreamingQuery

_LAGS = ("maxOffsetsBehindLatest", "numFilesOutstanding", "numBytesOutstanding")
_RATE_IS_OLD_SECONDS = 30.0


class ProgressCounts:
    """The progress of one query since it was started here; thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._began = now()
        self._seen = ""
        self._last: Mapping[str, Any] = {}
        self._last_at = self._began
        self.batches = 0
        self.rows_in = 0
        self.rows_out: int | None = 0

    def look(self, query: StreamingQuery) -> None:
        """Read the batches that a query has finished since the last call."""
        with self._lock:
            for document in _news(query, self._seen):
                self._seen = str(document["timestamp"])
                self._last, self._last_at = document, self._now()
                # A look at the source that brought nothing may be news, too.
                if "addBatch" in (document.get("durationMs") or {}):
                    self.batches += 1
                    self.rows_out = _plus(self.rows_out, document.get("sink") or {})
                self.rows_in += int(document.get("numInputRows") or 0)

    def progress(self, status: str) -> dict[str, Any]:
        """Return the numbers, of JSON types; what is not known is None."""
        with self._lock:
            last = self._last
            idle = self._now() - self._last_at
            states = last.get("stateOperators") or ()
            # The rates of a batch of an hour ago are no rates any more.
            fresh = last if idle <= _RATE_IS_OLD_SECONDS else {}
            return {
                "batch_id": last.get("batchId"),
                "batches": self.batches,
                "rows_in": self.rows_in,
                "rows_per_second": _rate(fresh.get("processedRowsPerSecond")),
                "input_rows_per_second": _rate(fresh.get("inputRowsPerSecond")),
                "lag": _lag(last),
                "state_rows": _sum(states, "numRowsTotal"),
                "state_bytes": _sum(states, "memoryUsedBytes"),
                "last_progress": last.get("timestamp"),
                "idle_seconds": round(idle, 1),
                "status": status,
            }


def _news(query: Any, seen: str) -> list[dict[str, Any]]:
    """Return the documents behind the last one that was seen, by its time; oldest first."""
    progresses = query._jsq.recentProgress()
    found: list[dict[str, Any]] = []
    for n in reversed(range(len(progresses))):
        if str(progresses[n].timestamp()) <= seen:
            break
        found.append(json.loads(progresses[n].json()))
    return found[::-1]


def _plus(rows: int | None, sink: Mapping[str, Any]) -> int | None:
    """Return rows with those that a sink got; None if one of its batches was not counted."""
    more = int(sink.get("numOutputRows", -1))
    return None if rows is None or more < 0 else rows + more


def _rate(rate: Any) -> float | None:
    """Return a rate; Spark reports NaN or infinity for a batch that took no time."""
    if not isinstance(rate, (int, float)) or not math.isfinite(rate):
        return None
    return round(float(rate), 3)


def _sum(states: Any, name: str) -> int | None:
    return sum(int(state.get(name) or 0) for state in states) if states else None


def _lag(last: Mapping[str, Any]) -> int | None:
    """Return how far the source is ahead, in its own unit: records, files or bytes."""
    for source in last.get("sources") or ():
        metrics = source.get("metrics") or {}
        for name in _LAGS:
            text = str(metrics.get(name, ""))
            if text.isdecimal():
                return int(text)
    return None
