"""The data interval of a run: both ends, or none."""

from __future__ import annotations

from datetime import datetime

from kindling_airflow.errors import PipeRunError
from kindling_airflow.protocol.contracts import RunRequest


def interval_of(request: RunRequest) -> tuple[datetime, datetime] | None:
    """Return a run's interval; None if it has none and works without.

    Raises:
        PipeRunError: it has none, and is to fail then; or it has half of one, or one without
            length, which must not be taken for none: the run would replace whole tables.
    """
    start, end = _moment(request.interval_start), _moment(request.interval_end)
    if start is not None and end is not None and start < end:
        return start, end
    if request.on_missing_interval == "fail":
        raise PipeRunError(
            f"pipe {request.pipe_id!r}: run {request.run_id!r} has no data interval\n"
            "  Fix: run it for an interval ('airflow backfill create'), or let such runs process "
            "everything: on_missing_interval: full."
        )
    if start is not None or end is not None:
        raise PipeRunError(
            f"pipe {request.pipe_id!r}: run {request.run_id!r} has no valid data interval: it "
            f"begins at {request.interval_start} and ends at {request.interval_end}\n"
            "  Fix: run it for an interval that begins before it ends, or without one."
        )
    return None


def _moment(text: str | None) -> datetime | None:
    # Python 3.10 does not read the Z of UTC.
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
