"""What the tests of streams share: files that are dropped, drivers' lines, and a query to look at.

The streams are as small as can be; a session of the tests runs them one after the other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kindling_airflow.protocol.contracts import RunReport, StreamNews, stream_news_in_line
from kindling_airflow.runner.streaming import RunningStream, run_stream, start_stream
from tests.runner.conftest import Project

EVENTS = "id BIGINT, at TIMESTAMP, shop STRING"
STREAMING = {"processing_mode": "streaming"}
AVAILABLE = {"lifetime": "available_now", "checkpoints": ""}
CONTINUOUS = {"lifetime": "continuous", "checkpoints": ""}


def events(ids: Iterator[int] | range, shop: str = "a") -> list[dict[str, Any]]:
    """Return rows of EVENTS; each is a minute later than the one before."""
    return [{"id": n, "at": f"2026-01-01T00:{n % 60:02d}:00Z", "shop": shop} for n in ids]


def drop(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """Put a file of JSON lines into a folder, as a whole."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}"
    hidden.write_text("".join(json.dumps(row) + "\n" for row in rows))
    hidden.rename(folder / name)


def declare_events(project: Project, **tags: str) -> None:
    """Declare the files that everything starts with, and a stream that passes them on."""
    project.entity("events", schema=EVENTS, tags={"provider_type": "json"})
    project.entity("clean", schema=EVENTS, tags=tags)
    project.pipe("clean", lambda events: events, "events", tags=STREAMING)


def take_available(project: Project, pipe_id: str, **changes: Any) -> RunReport:
    """Let a stream take what is there."""
    request = project.request(pipe_id, **{"stream": AVAILABLE, **changes})
    return run_stream(request, project.spark, declared=project.declared, say=lambda _line: None)


def taken(project: Project, pipe_id: str, **changes: Any) -> RunReport:
    """Let a stream take what is there, which must go well."""
    report = take_available(project, pipe_id, **changes)
    assert report.status == "published", report.error
    return report


def refusal(project: Project, pipe_id: str, **changes: Any) -> str:
    """Return why a stream does not start, which is for good."""
    report = take_available(project, pipe_id, **changes)
    assert report.error is not None, report
    assert report.extra["permanent"] is True, report.error
    return report.error.message


@contextmanager
def started(project: Project, pipe_id: str, **changes: Any) -> Iterator[RunningStream]:
    """Start a stream as a session does, and stop it in the end."""
    request = project.request(pipe_id, **{"stream": CONTINUOUS, **changes})
    stream = start_stream(request, project.spark, project.declared)
    try:
        yield stream
    finally:
        stream.stop()


def until(holds: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def ids(project: Project, name: str) -> list[int]:
    """Return the ids in a table of a stream, sorted, as Spark reads it."""
    frame = project.spark.read.parquet(str(project.table(name)))
    return sorted(row["id"] for row in frame.collect())


def news_in(lines: list[str]) -> list[StreamNews]:
    """Return the news that a driver has said."""
    found = [stream_news_in_line(line) for line in lines]
    return [StreamNews.loads(text) for text in found if text is not None]
