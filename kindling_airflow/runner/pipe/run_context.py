"""The context that a pipe may know: its run, and the run's data interval."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.common.durations import iso_datetime
from kindling_airflow.errors import PipeRunError
from kindling_airflow.protocol.contracts import RunRequest


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run that a pipe is part of: passed to functions that declare an argument ``run``.

    Attributes:
        run_id: the Airflow run.
        pipe_id: the pipe.
        interval_start, interval_end: the run's data interval [start, end), or None without one.
        parameters: of the run: the DAG's params, and those that were set for the run.
        spark: the session.
        logger: writes to the task's log.
    """

    run_id: str
    pipe_id: str
    interval_start: datetime | None
    interval_end: datetime | None
    parameters: Mapping[str, Any]
    spark: SparkSession
    logger: logging.Logger

    @classmethod
    def of(cls, request: RunRequest, spark: SparkSession) -> RunContext:
        """Return the context of a request."""
        return cls(
            run_id=request.run_id,
            pipe_id=request.pipe_id,
            interval_start=_timestamp(request.interval_start),
            interval_end=_timestamp(request.interval_end),
            parameters=request.parameters,
            spark=spark,
            logger=logging.getLogger(f"kindling.{request.pipe_id}"),
        )


def interval_of(request: RunRequest) -> tuple[datetime, datetime] | None:
    """Return a run's interval; None if it has none and works without.

    Raises:
        PipeRunError: it has none, and is to fail then; or it has half of one, or one without
            length, which must not count as none: the run would replace whole tables.
    """
    start, end = _timestamp(request.interval_start), _timestamp(request.interval_end)
    if start is not None and end is not None and start < end:
        return start, end
    where = f"pipe {request.pipe_id!r}: run {request.run_id!r}"
    if request.on_missing_interval == "fail":
        raise PipeRunError(
            f"{where} has no data interval\n"
            "  Fix: run it for an interval ('airflow backfill create'), or let such runs process "
            "everything: on_missing_interval: full."
        )
    if start is not None or end is not None:
        raise PipeRunError(
            f"{where} has no valid data interval: it begins at {request.interval_start} and ends "
            f"at {request.interval_end}\n"
            "  Fix: run it for an interval that begins before it ends, or without one."
        )
    return None


def _timestamp(text: str | None) -> datetime | None:
    return None if text is None else iso_datetime(text)
