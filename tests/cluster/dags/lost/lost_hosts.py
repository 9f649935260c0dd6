"""A table that rows are appended to, by a driver that stops at a chosen step at its first try."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DataEntities.entity(entityid="lost.rows", tags={"write_mode": "append"}, schema="id BIGINT")
DataEntities.entity(entityid="lost.counts")


@DataPipes.pipe("lost.rows", input_entity_ids=[], output_entity_id="lost.rows")
def rows(run: Any) -> DataFrame:
    """Append ten numbers."""
    result: DataFrame = run.spark.range(10)
    return result


@DataPipes.pipe("lost.counts", input_entity_ids=["lost.rows"], output_entity_id="lost.counts")
def counts(lost_rows: DataFrame) -> DataFrame:
    """Count how often each number is there."""
    return lost_rows.groupBy("id").count()


def _stop_once(folder: Path) -> None:
    """Make the first driver of a run stop before or after its publish, until it is let go on."""
    from kindling_airflow.runner.pipe import run_pipe

    request = json.loads(sys.argv[1])
    step = json.loads((folder / "steps.json").read_text()).get(request["run_id"])
    place = folder / request["run_id"]
    if step is None or request["pipe_id"] != "lost.rows" or place.exists():
        return
    place.mkdir()
    found = run_pipe.writable_provider_for

    def wait() -> None:
        noted = place / ".noted"
        noted.write_text(json.dumps({"host": socket.gethostname(), "java": os.getppid()}))
        noted.rename(place / "waiting")
        while not (place / "go").exists():
            time.sleep(0.1)

    def stopping(entity: Any, context: Any) -> Any:
        provider: Any = found(entity, context)
        publish = provider.publish

        def published(*arguments: Any) -> Any:
            if step == "before":
                wait()
            done = publish(*arguments)
            if step == "after":
                wait()
            return done

        provider.publish = published
        return provider

    run_pipe.writable_provider_for = stopping


if "KINDLING_TRIALS" in os.environ and "PYSPARK_GATEWAY_PORT" in os.environ:
    _stop_once(Path(os.environ["KINDLING_TRIALS"]))
