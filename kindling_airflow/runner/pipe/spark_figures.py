"""What an attempt has cost Spark, from the figures that Spark keeps for its pages.

The figures are read stage by stage at the end of an attempt, a few calls to Java each; an attempt
with very many stages is not worth that.
"""

from __future__ import annotations

from typing import Any

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

__all__ = ["spark_figures"]

_MOST_STAGES = 200
_GROUP = "spark.jobGroup.id"


def spark_figures(spark: SparkSession) -> dict[str, int]:
    """Return ``spill_bytes`` and ``shuffle_bytes`` of this thread's job group, or of all jobs.

    Spilled bytes are those on disk, shuffled ones those that were written. Empty where Spark does
    not know, or no longer: its pages keep the last thousand stages.
    """
    context = spark.sparkContext
    try:
        stages = _stages(context._jsc.sc(), context.getLocalProperty(_GROUP))
        return {
            "spill_bytes": sum(int(stage.diskBytesSpilled()) for stage in stages),
            "shuffle_bytes": sum(int(stage.shuffleWriteBytes()) for stage in stages),
        }
    except (Py4JError, OSError, _TooManyError):  # Java's errors are Py4JErrors as well
        return {}


class _TooManyError(Exception):
    """There are too many stages to look at."""


def _stages(context: Any, group: str | None) -> list[Any]:
    """Return the stages of a job group, or of all jobs of an application."""
    store = context.statusStore()
    if group is None:
        return _items(store.stageList(None, False, False, _no_quantiles(), None))
    jobs = context.statusTracker().getJobIdsForGroup(group)
    ids = {int(stage) for job in jobs for stage in _items(store.job(job).stageIds())}
    if len(ids) > _MOST_STAGES:
        raise _TooManyError
    return [store.lastStageAttempt(stage) for stage in sorted(ids)]


def _items(sequence: Any) -> list[Any]:
    size = int(sequence.size())
    if size > _MOST_STAGES:
        raise _TooManyError
    return [sequence.apply(n) for n in range(size)]


def _no_quantiles() -> Any:
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    return gateway.new_array(gateway.jvm.double, 0)
