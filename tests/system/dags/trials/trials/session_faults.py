"""Pipes of one session that hang at their first try, until a test has done its worst.

Each writes ``<name>.<n>`` when it begins its n-th try: the processes that it runs in.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def _pipe(name: str) -> Any:
    return DataPipes.pipe(f"faults.{name}", input_entity_ids=[], output_entity_id=f"faults.{name}")


def _tried(name: str) -> int:
    folder = Path(os.environ["KINDLING_TRIALS"]) / "session_faults"
    folder.mkdir(exist_ok=True)
    number = 1
    while (folder / f"{name}.{number}").exists():
        number += 1
    (folder / f"{name}.part").write_text(json.dumps({"python": os.getpid(), "jvm": os.getppid()}))
    (folder / f"{name}.part").rename(folder / f"{name}.{number}")
    return number


def _hang_at_first(name: str, run: Any) -> DataFrame:
    number = _tried(name)
    if number == 1:
        for _ in range(6000):  # it can be cancelled in between
            time.sleep(0.1)
    return run.spark.createDataFrame([(number,)], "try INT")


@_pipe("marked")
def marked(run: Any) -> DataFrame:
    """Its task is marked as failed."""
    return _hang_at_first("marked", run)


@_pipe("killed")
def killed(run: Any) -> DataFrame:
    """The process of its task is killed."""
    return _hang_at_first("killed", run)


@_pipe("neighbour")
def neighbour(run: Any) -> DataFrame:
    """Runs beside the others until the driver of the session is killed."""
    return _hang_at_first("neighbour", run)
