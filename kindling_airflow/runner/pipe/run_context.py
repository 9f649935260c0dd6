"""What a pipe may know about its run: passed to functions that declare an argument ``run``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyspark.sql import SparkSession

from kindling_airflow.protocol.contracts import RunRequest


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run that a pipe is part of.

    Attributes:
        run_id: the Airflow run.
        pipe_id: the pipe.
        interval_start, interval_end: the run's data interval [start, end), or None without one.
        parameters: what the run was started with: the DAG's params, and what a person set.
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
            interval_start=_moment(request.interval_start),
            interval_end=_moment(request.interval_end),
            parameters=request.parameters,
            spark=spark,
            logger=logging.getLogger(f"kindling.{request.pipe_id}"),
        )


def _moment(text: str | None) -> datetime | None:
    # Python 3.10 does not read the Z of UTC.
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
