"""A process with three streams that somebody kills; run as a program by the test of that.

events (files) -> clean (the format's sink) -> shops (the format's sink, partitioned)
                                            -> counts (published batch by batch)
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.protocol.contracts import RunRequest
from tests.runner.conftest import Project
from tests.runner.streams import CONTINUOUS, STREAMING, declare_events, drop, events, until

_SUBMIT = (
    "--master local[2] --conf spark.ui.enabled=false --conf spark.sql.shuffle.partitions=2 "
    "--conf spark.sql.session.timeZone=UTC --conf spark.driver.host=127.0.0.1 "
    "--conf spark.driver.bindAddress=127.0.0.1 --conf spark.log.level=ERROR "
    "--driver-java-options '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC' pyspark-shell"
)
_UP = "streams are up"
_BURST = 7


def project_of(kind: str = "parquet") -> HarvestedModules:
    """Return the declarations of the three streams, whose tables are of a format."""
    project = Project(None, Path(), HarvestedModules(DataPipesRegistry(), DataEntityRegistry()))
    tags = {"provider_type": kind}
    declare_events(project, **tags)
    project.entity("shops", schema="id BIGINT, shop STRING", partition_columns=["shop"], tags=tags)
    project.entity(
        "counts", schema="shop STRING, n BIGINT NOT NULL", merge_columns=["shop"], tags=tags
    )
    project.pipe("shops", lambda clean: clean.select("id", "shop"), "clean", tags=STREAMING)
    mode = {"stream.output_mode": "complete" if kind == "parquet" else "update"}
    project.pipe("counts", _counted, "clean", tags={**STREAMING, **mode})
    return project.declared


def _counted(clean: Any) -> Any:
    return clean.groupBy("shop").count().withColumnRenamed("count", "n")


def feed_and_kill(warehouse: Path, scratch: Path, kills: int, kind: str = "parquet") -> int:
    """Drop numbered rows in bursts while processes run and are killed; return how many rows."""
    chance = random.Random(7)
    fed = 0
    for n in range(kills):
        output = scratch / f"process-{n}.txt"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.runner.killed_streams", str(warehouse), kind],
                cwd=Path(__file__).parents[2],
                env=_environment(kind),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until(lambda: _UP in output.read_text() or process.poll() is not None, 300)  # noqa: B023
            assert process.poll() is None, output.read_text()
            stop_at = time.monotonic() + chance.uniform(0.5, 6.0)
            while time.monotonic() < stop_at:
                rows = events(range(fed, fed + _BURST), f"shop-{fed % 3}")
                drop(warehouse / "events", f"{fed}.json", rows)
                fed += _BURST
                time.sleep(chance.uniform(0.0, 0.4))
            assert process.poll() is None, output.read_text()
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its JVM, too
            process.wait()
    return fed


def _environment(kind: str) -> dict[str, str]:
    parquet = {"PYSPARK_SUBMIT_ARGS": _SUBMIT}  # other formats need settings of the session
    return {**os.environ, **(parquet if kind == "parquet" else {})}


def _run(warehouse: str, kind: str) -> None:
    from pyspark.sql import SparkSession

    from kindling_airflow.runner.streaming import start_stream
    from tests.runner.formats.sessions import session_for

    spark = SparkSession.builder.getOrCreate() if kind == "parquet" else session_for(kind)
    declared = project_of(kind)
    streams = []
    for pipe_id in ("shops", "counts", "clean"):  # consumers first
        request = RunRequest(
            str(os.getpid()), pipe_id, ".", (), warehouse, task_id=pipe_id, stream=CONTINUOUS
        )
        streams.append(start_stream(request, spark, declared))
    print(_UP, flush=True)
    while all(stream.is_active() for stream in streams):
        time.sleep(0.1)
    sys.exit("\n".join(str(stream.error()) for stream in streams))


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2])
