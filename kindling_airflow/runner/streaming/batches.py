"""Publishes each batch of a query like the result of a run: staged, checked, put in place.

A batch that is retried, because the driver has died in the middle, is known by its name, which is
made of the checkpoint, the query and the number of the batch: what it has left is removed, and
what it has appended is not appended again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame

from kindling_airflow.errors import PipeRunError
from kindling_airflow.protocol.contracts import ExpectationReport
from kindling_airflow.runner.pipe.publish_result import Destination, publish_result
from kindling_airflow.runner.providers.interface import Write
from kindling_airflow.runner.streaming.checkpoint import Checkpoint
from kindling_airflow.tags.intervals import WriteMode

_ONCE = 1  # tries of one batch have the same rows: the first that commits stands
WRITE_MODES: dict[str, WriteMode] = {"append": "append", "update": "merge", "complete": "overwrite"}


class BatchPublisher:
    """What Spark calls with each batch.

    Args:
        where: where the batches go.
        checkpoint: the query's.
        attempt: names the try; harmless as part of a file name.
        mode: how a batch changes the table.
        before_stage: what other attempts have staged stays if it raises.
        before_publish: nothing is published if it raises.
        after_publish: is called when a batch is in its place.

    Attributes:
        error: why a batch was not published.
        expectations: the outcome of each in the last batch.
        rows: how many rows it has put in place; of those that replace the table, the last batch's.
    """

    def __init__(
        self,
        where: Destination,
        checkpoint: Checkpoint,
        attempt: str,
        mode: WriteMode,
        *,
        before_stage: Callable[[], None],
        before_publish: Callable[[], None],
        after_publish: Callable[[], None],
    ) -> None:
        self._where = where
        self._checkpoint = checkpoint
        self._attempt = attempt
        self._mode = mode
        self._before_stage = before_stage
        self._before_publish = before_publish
        self._after_publish = after_publish
        self._query_id = ""
        self.error: BaseException | None = None
        self.expectations: tuple[ExpectationReport, ...] = ()
        self.rows = 0

    def __call__(self, frame: DataFrame, batch_id: int) -> None:
        """Publish a batch.

        What goes wrong is kept, because only text gets through Spark; and that has to be short:
        Spark searches it for signs of an interruption in a way that a long one is too much for.

        Raises:
            PipeRunError: it was not published.
        """
        try:
            self._publish(frame, batch_id)
        except BaseException as error:
            self.error = error
            what = type(error).__name__
            raise PipeRunError(f"batch {batch_id} was not published: {what}") from None

    def _publish(self, frame: Any, batch_id: int) -> None:
        self._query_id = self._query_id or self._checkpoint.query_id()
        text = "\0".join((self._checkpoint.path, self._query_id, str(batch_id)))
        instance = hashlib.sha256(text.encode()).hexdigest()[:16]
        write = Write(instance, self._attempt, self._mode, order=_ONCE, check=self._before_publish)
        published, self.expectations = publish_result(
            self._where,
            frame,
            write,
            before_publish=self._before_publish,
            before_stage=self._before_stage,
        )
        # A batch that takes the place of the table is all that is in it.
        self.rows = published.rows + (0 if self._mode == "overwrite" else self.rows)
        self._after_publish()
