"""One pipe cleans, two read its output. Each is a separate query that does not end.

The first input of a streaming pipe is a streaming DataFrame; the function is written as for any
other pipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STREAM = {"processing_mode": "streaming", "stream.trigger": "1s"}
SLOW_MILLISECONDS = 2_000


@DataPipes.pipe(
    pipeid="clicks.clean",
    name="Clicks, each once",
    # A click may come a second time within ten minutes; older ones are forgotten, or the state
    # would grow forever.
    tags={**STREAM, "stream.watermark": "at 10m"},
    input_entity_ids=["raw.clicks"],
    output_entity_id="clicks.clean",
)
def clean(raw_clicks: DataFrame) -> DataFrame:
    return raw_clicks.where("id IS NOT NULL AND page LIKE '/%'").dropDuplicates(["id", "at"])


@DataPipes.pipe(
    pipeid="clicks.alerts",
    name="Clicks that need attention",
    tags=STREAM,
    input_entity_ids=["clicks.clean"],
    output_entity_id="clicks.alerts",
)
def alerts(clicks_clean: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    reason = F.when(F.col("status") >= 500, "failed").when(
        F.col("milliseconds") >= SLOW_MILLISECONDS, "slow"
    )
    return clicks_clean.select("id", "at", "page", reason.alias("reason")).where(
        "reason IS NOT NULL"
    )


@DataPipes.pipe(
    pipeid="clicks.per_minute",
    name="Requests of each page, by minute",
    # Each batch writes the whole result, one row per page and minute. For large results use append
    # and a watermark: each minute is then written once, when it has ended.
    tags={**STREAM, "stream.output_mode": "complete"},
    input_entity_ids=["clicks.clean"],
    output_entity_id="clicks.per_minute",
)
def per_minute(clicks_clean: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return clicks_clean.groupBy(F.date_trunc("minute", "at").alias("minute"), "page").agg(
        F.count("*").alias("clicks"),
        F.count_if(F.col("status") >= 500).alias("failed"),
        F.max("milliseconds").alias("slowest_milliseconds"),
    )
