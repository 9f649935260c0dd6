"""A pool of two, proved by construction.

    long ------------------------------------------> ends only when it sees the tables of the others
    short_1, short_2 -> after_2, short_3             run meanwhile, one by one, in the other slot

``long`` would wait for ever if the second slot were not filled again and again, or if ``after_2``,
which is of a later generation, had to wait for ``long``. Every pipe counts how many run with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SLOTS = 2
OTHERS = ("short_1", "short_2", "after_2", "short_3")


@contextmanager
def _counted(name: str) -> Iterator[None]:
    """Mark a pipe as running; more of them than slots is an error, and leaves a trace."""
    folder = Path(os.environ["KINDLING_TRIALS"]) / "running"
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / name
    mark.touch()
    running = sorted(path.name for path in folder.iterdir())
    if len(running) > SLOTS:
        (folder.parent / "too-many").write_text(" ".join(running), encoding="utf-8")
        raise AssertionError(f"more pipes than slots: {running}")
    yield
    mark.unlink()


def _pipe(name: str, inputs: tuple[str, ...] = (), hint: int = 1) -> Any:
    return DataPipes.pipe(
        pipeid=f"width.{name}",
        tags={"duration_hint": hint},
        input_entity_ids=list(inputs),
        output_entity_id=f"width.{name}",
    )


@_pipe("long", hint=1000)
def long(run: Any) -> DataFrame:
    """Wait for the tables of all others."""
    warehouse = Path(os.environ["AIRFLOW__KINDLING__WAREHOUSE"])
    missing = set(OTHERS)
    with _counted("long"):
        for _ in range(900):
            missing = {name for name in OTHERS if not (warehouse / f"width.{name}").exists()}
            if not missing:
                return run.spark.range(1)
            time.sleep(1)
    raise AssertionError(f"the other slot was not kept busy: {sorted(missing)} never ran")


def _one_row(name: str, run: Any) -> DataFrame:
    with _counted(name):
        return run.spark.range(1)


@_pipe("short_1")
def short_1(run: Any) -> DataFrame:
    """Be there."""
    return _one_row("short_1", run)


@_pipe("short_2")
def short_2(run: Any) -> DataFrame:
    """Be there."""
    return _one_row("short_2", run)


@_pipe("short_3")
def short_3(run: Any) -> DataFrame:
    """Be there."""
    return _one_row("short_3", run)


@_pipe("after_2", inputs=("width.short_2",))
def after_2(width_short_2: DataFrame) -> DataFrame:
    """Is of a later generation than ``long``, and need not wait for it."""
    with _counted("after_2"):
        return width_short_2
