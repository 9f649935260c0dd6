"""Rows that Spark makes up, so many each second: for trials of streams, without any data.

Its columns are ``timestamp`` and ``value``, which counts up from 0; a stream that begins again
after an interruption goes on where it was. ``provider.option.rowsPerSecond`` and Spark's other
options say how many.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import EntityMetadata
from kindling_airflow.errors import PipeRunError
from kindling_airflow.runner.providers.interface import (
    EntityDescription,
    ProviderContext,
    StreamRead,
)


class RateProvider:
    """Makes rows up, as a stream."""

    def __init__(self, context: ProviderContext) -> None:
        self._context = context

    def describe(self, entity: EntityMetadata) -> EntityDescription:
        """Return how many rows come each second."""
        options = self._context.options_of(entity, rowsPerSecond="1")
        rate = options["rowsPerSecond"]
        return EntityDescription("rate", "rate", {"rows_per_second": rate})

    def exists(self, entity: EntityMetadata) -> bool:  # noqa: ARG002 (interface)
        """Return True: there is always something to read."""
        return True

    def read(self, entity: EntityMetadata) -> DataFrame:
        """Refuse: such rows exist as a stream alone.

        Raises:
            PipeRunError: always.
        """
        raise PipeRunError(
            f"entity {entity.entityid!r}: rate entities can only be read as a stream\n"
            "  Fix: make it the first input of a streaming pipe (processing_mode: streaming)."
        )

    def make_ready(self, entity: EntityMetadata) -> None:
        """Do nothing: rows come by themselves."""

    def read_stream(self, entity: EntityMetadata, read: StreamRead) -> DataFrame:
        """Return the rows, from now on."""
        options = {**self._context.options_of(entity), **read.options}
        return self._context.spark.readStream.format("rate").options(**options).load()
