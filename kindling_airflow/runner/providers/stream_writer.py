"""Writes streams for all formats: the query's name, checkpoint, mode and trigger."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.streaming.readwriter import DataStreamWriter

from kindling_airflow.runner.providers.interface import StreamWrite


def stream_writer(frame: DataFrame, write: StreamWrite) -> DataStreamWriter:
    """Return a writer of a stream, to which format, options and place are still to be added."""
    writer = (
        frame.writeStream.queryName(write.name)
        .outputMode(write.output_mode)
        .option("checkpointLocation", write.checkpoint)
    )
    trigger = write.trigger
    chosen: dict[str, Any] = {}
    if trigger.kind == "available_now":
        chosen["availableNow"] = True
    elif trigger.kind == "processing_time":
        chosen["processingTime"] = milliseconds(trigger.seconds)
    elif trigger.kind == "continuous":
        chosen["continuous"] = milliseconds(trigger.seconds)
    return writer.trigger(**chosen) if chosen else writer


def milliseconds(seconds: float | None) -> str:
    """Return a duration as Spark reads it.

    >>> milliseconds(1.5)
    '1500 milliseconds'
    """
    return f"{round(1000 * (seconds or 0.0))} milliseconds"
