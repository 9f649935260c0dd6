"""What runs of a DAG have published, or skipped, as their reports say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.common.immutable import EMPTY

__all__ = ["Interval", "Publication", "publication_of"]

Interval = tuple[datetime, datetime]
_SLICE = re.compile(r".* in \[([^,\[]+), ([^,)]+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Publication:
    """One version of an entity, or a run that had nothing to do.

    Attributes:
        entity_id, pipe_id, task_id, run_id: what was written by what.
        at: when the task had published.
        seconds: how long the driver took until then.
        is_skip: nothing was written, because there was nothing to do.
        rows: rows written.
        interval: the slice written, else the data interval of the run; None for everything.
        is_slice: the interval is the slice.
        mode: how the entity is written; "" where an older release has not noted it.
        reads: the slice read of each input that was read by slices.
        inputs: the entities read.
        location: where the entity lies.
        attempt: the key of the attempt.
    """

    entity_id: str
    pipe_id: str
    task_id: str
    run_id: str
    at: datetime
    seconds: float = 0.0
    is_skip: bool = False
    rows: int | None = None
    interval: Interval | None = None
    is_slice: bool = False
    mode: str = ""
    reads: Mapping[str, Interval] = field(default_factory=lambda: EMPTY)
    inputs: tuple[str, ...] = ()
    location: str = ""
    attempt: str = ""

    @property
    def began(self) -> datetime:
        """When the driver began to read, at the latest."""
        return self.at - timedelta(seconds=self.seconds)


def publication_of(
    report: object, *, task_id: str, run_id: str, at: datetime, interval: Interval | None
) -> Publication | None:
    """Return what a report says about its output; None if it failed, or is not a report.

    Args:
        report: the report as a JSON document.
        task_id: the task that it comes from.
        run_id: the run.
        at: when it was stored.
        interval: the data interval of the run.
    """
    if not isinstance(report, Mapping) or report.get("status") not in ("published", "skipped"):
        return None
    extra = report.get("extra")
    extra = extra if isinstance(extra, Mapping) else EMPTY
    if not report.get("output_entity_id") or "stream" in extra:
        return None
    written = _interval_in(extra.get("slice_written"))
    own = extra.get("interval")
    if isinstance(own, list | tuple) and len(own) == 2:
        interval = _interval_in(f"run in [{own[0]}, {own[1]})") or interval
    read = extra.get("slices_read")
    slices = {
        str(entity_id): found
        for entity_id, text in (read.items() if isinstance(read, Mapping) else ())
        if (found := _interval_in(text)) is not None
    }
    return Publication(
        entity_id=str(report["output_entity_id"]),
        pipe_id=str(report.get("pipe_id", "")),
        task_id=task_id,
        run_id=run_id,
        at=at,
        seconds=float(report.get("duration_seconds") or 0.0),
        is_skip=report["status"] == "skipped",
        rows=report.get("rows_written"),
        interval=written or interval,
        is_slice=written is not None,
        mode=str(extra.get("write_mode", "")),
        reads=slices,
        inputs=tuple(str(item["entity_id"]) for item in report.get("inputs") or ()),
        location=str(report.get("location", "")),
        attempt=str(report.get("attempt_key", "")),
    )


def _interval_in(text: object) -> Interval | None:
    """Return the interval in the text of a slice: ``day in [2026-01-01T..., 2026-01-02T...)``."""
    found = _SLICE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        return iso_datetime(found[1]), iso_datetime(found[2])
    except ValueError:
        return None
