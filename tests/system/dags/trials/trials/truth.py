"""Each pipe works while the control file says "good"; at "bad" it fails in its own way."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

DataEntities.entity(
    entityid="raw.control",
    tags={"provider_type": "json", "provider.path": "landing/control.json"},
    schema="mode STRING, round INT",
)
DataEntities.entity(
    entityid="raw.late",
    tags={"provider_type": "json", "provider.path": "landing/late.json"},
    schema="value INT",
)
DataEntities.entity(entityid="truth.wrong_column", schema="id BIGINT, round INT")


def _control(raw_control: DataFrame) -> tuple[bool, int]:
    row: Any = raw_control.first()
    return row["mode"] == "bad", row["round"]


def _table(raw_control: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    _, round_ = _control(raw_control)
    spark = raw_control.sparkSession
    return spark.range(0, 1000, numPartitions=2).withColumn("round", F.lit(round_))


def _pipe(name: str, *more_inputs: str) -> Any:
    return DataPipes.pipe(
        pipeid=f"truth.{name}",
        input_entity_ids=["raw.control", *more_inputs],
        output_entity_id=f"truth.{name}",
    )


@_pipe("silent")
def silent(raw_control: DataFrame) -> DataFrame:
    """Ends the driver with status 0 and without a word."""
    if _control(raw_control)[0]:
        os._exit(0)
    return _table(raw_control)


def kill_at(number: int, process: int) -> int:
    """Run in a Python worker, which must find this function by its module's name."""
    if number == 900:
        os.kill(process, signal.SIGKILL)
    return number


@_pipe("killed")
def killed(raw_control: DataFrame) -> DataFrame:
    """Kills the JVM when the first of two partitions is written and the second is under way."""
    from pyspark.sql import functions as F

    bad, _ = _control(raw_control)
    jvm = os.getppid() if bad else 0

    def checked(number: int) -> int:
        return kill_at(number, jvm) if jvm else number

    return _table(raw_control).withColumn("id", F.udf(checked, "bigint")("id"))


@_pipe("raising")
def raising(raw_control: DataFrame) -> DataFrame:
    """Raises what user code raises."""
    if _control(raw_control)[0]:
        raise ValueError("the moon is in the wrong phase")
    return _table(raw_control)


@_pipe("overflow")
def overflow(raw_control: DataFrame) -> DataFrame:
    """Fails in the executors, with what the JVM has to say about it."""
    from pyspark.sql import functions as F

    bad, _ = _control(raw_control)
    largest = F.lit(2**31 - 1) if bad else F.lit(0)
    return _table(raw_control).withColumn("sum", F.col("id").cast("int") + largest)


@_pipe("returning_none")
def returning_none(raw_control: DataFrame) -> DataFrame | None:
    """Forgets its return statement."""
    return None if _control(raw_control)[0] else _table(raw_control)


@_pipe("wrong_column")
def wrong_column(raw_control: DataFrame) -> DataFrame:
    """Breaks its entity's schema."""
    table = _table(raw_control)
    return table.withColumnRenamed("round", "ring") if _control(raw_control)[0] else table


@_pipe("behind_raising", "truth.raising")
def behind_raising(raw_control: DataFrame, truth_raising: DataFrame) -> DataFrame:
    """Depends on a pipe that fails."""
    return truth_raising


@DataPipes.pipe(pipeid="truth.idle", input_entity_ids=["raw.late"], output_entity_id="truth.idle")
def idle(raw_late: DataFrame) -> DataFrame:
    """Has nothing to do while its file is missing."""
    return raw_late


@_pipe("behind_idle", "truth.idle")
def behind_idle(raw_control: DataFrame, truth_idle: DataFrame) -> DataFrame:
    """Depends on a pipe that may have nothing to do, and runs all the same."""
    return _table(raw_control).crossJoin(truth_idle)
