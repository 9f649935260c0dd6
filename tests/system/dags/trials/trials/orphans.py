"""Pipes that note down their processes and then work for ever, the first time that they run."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and more than an entry that nobody has reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _work(name: str, run: Any) -> DataFrame:
    """Hang in a Spark job at the first try; at the second, note which processes of it are left."""
    folder = Path(os.environ["KINDLING_TRIALS"]) / "orphans"
    folder.mkdir(exist_ok=True)
    first, second = folder / f"{name}.first", folder / f"{name}.second"
    spark = run.spark
    if first.exists():
        pids = json.loads(first.read_text())
        second.write_text(json.dumps([role for role, pid in pids.items() if is_alive(pid)]))
        return spark.range(10).withColumnRenamed("id", "second")
    (folder / "part").write_text(json.dumps({"python": os.getpid(), "jvm": os.getppid()}))
    (folder / "part").rename(first)
    time.sleep(600)
    return spark.range(10).withColumnRenamed("id", "first")


@DataPipes.pipe(pipeid="orphans.lost", input_entity_ids=[], output_entity_id="orphans.lost")
def lost(run: Any) -> DataFrame:
    """The process of its task is killed."""
    return _work("lost", run)


@DataPipes.pipe(pipeid="orphans.marked", input_entity_ids=[], output_entity_id="orphans.marked")
def marked(run: Any) -> DataFrame:
    """Its task is marked as failed, and then cleared."""
    return _work("marked", run)
