"""Numbered records through three levels into two sinks; each does next to nothing.

landing -> taken -> cleaned -> counted
                        |----> checked
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCHEMA = "number BIGINT, text STRING"
STREAM = {
    "processing_mode": "streaming",
    "stream.trigger": "500ms",
    "stream.ready_timeout": "3m",
}

DataEntities.entity(
    entityid="landing",
    tags={"provider_type": "json", "provider.path": "landing"},
    schema=SCHEMA,
)
for name in ("taken", "cleaned", "counted", "checked"):
    DataEntities.entity(entityid=name, schema=SCHEMA)


@DataPipes.pipe("take", tags=STREAM, input_entity_ids=["landing"], output_entity_id="taken")
def take(landing: DataFrame) -> DataFrame:
    return landing


@DataPipes.pipe("clean", tags=STREAM, input_entity_ids=["taken"], output_entity_id="cleaned")
def clean(taken: DataFrame) -> DataFrame:
    return taken.where("number >= 0")


@DataPipes.pipe("count", tags=STREAM, input_entity_ids=["cleaned"], output_entity_id="counted")
def count(cleaned: DataFrame) -> DataFrame:
    return cleaned


@DataPipes.pipe("check", tags=STREAM, input_entity_ids=["cleaned"], output_entity_id="checked")
def check(cleaned: DataFrame) -> DataFrame:
    return cleaned
