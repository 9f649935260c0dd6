"""Six small pipes of one session: three levels, what they print, and a reader of two."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def _pipe(name: str, *inputs: str, **more: Any) -> Any:
    return DataPipes.pipe(
        f"sessions.{name}",
        input_entity_ids=[f"sessions.{i}" for i in inputs],
        output_entity_id=f"sessions.{name}",
        **more,
    )


def _said(name: str) -> None:
    print(f"{name} runs in process {os.getpid()}", flush=True)


@_pipe("numbers")
def numbers(run: Any) -> DataFrame:
    """Return a thousand rows."""
    _said("numbers")
    return run.spark.range(1000)


@_pipe("letters")
def letters(run: Any) -> DataFrame:
    """Change its own session, which the others must not see."""
    _said("letters")
    run.spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    run.spark.range(26).createOrReplaceTempView("mine")
    return run.spark.sql("SELECT id, char(97 + id) AS letter FROM mine")


@_pipe("even", "numbers")
def even(sessions_numbers: DataFrame) -> DataFrame:
    """Return every other row."""
    _said("even")
    return sessions_numbers.where("id % 2 = 0")


@_pipe("odd", "numbers")
def odd(sessions_numbers: DataFrame, run: Any) -> DataFrame:
    """Return the others, and what its session is like."""
    _said("odd")
    zone = run.spark.conf.get("spark.sql.session.timeZone")
    print(f"zone {zone}, view {run.spark.catalog.tableExists('mine')}", flush=True)
    return sessions_numbers.where("id % 2 = 1")


@_pipe("both", "even", "odd", "letters")
def both(
    sessions_even: DataFrame, sessions_odd: DataFrame, sessions_letters: DataFrame
) -> DataFrame:
    """Count all of them."""
    _said("both")
    counts = [f.selectExpr("count(*) AS n") for f in (sessions_even, sessions_odd)]
    return counts[0].union(counts[1]).union(sessions_letters.selectExpr("count(*) AS n"))
