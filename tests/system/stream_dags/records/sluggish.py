"""A producer and a consumer that never gets ready; a pair of streams that live for a short time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from kindling_airflow.data_entities import DataEntities
from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SCHEMA = "number BIGINT, text STRING"
STREAM = {"processing_mode": "streaming", "stream.ready_timeout": "30s"}

DataEntities.entity(
    entityid="sluggish.landing",
    tags={"provider_type": "json", "provider.path": "sluggish"},
    schema=SCHEMA,
)
for name in ("sluggish.taken", "sluggish.never"):
    DataEntities.entity(entityid=name, schema=SCHEMA)


@DataPipes.pipe(
    "sluggish.take",
    tags=STREAM,
    input_entity_ids=["sluggish.landing"],
    output_entity_id="sluggish.taken",
)
def take(sluggish_landing: DataFrame) -> DataFrame:
    return sluggish_landing


@DataPipes.pipe(
    "sluggish.never",
    tags=STREAM,
    input_entity_ids=["sluggish.taken"],
    output_entity_id="sluggish.never",
)
def never(sluggish_taken: DataFrame) -> DataFrame:
    time.sleep(3600)
    return sluggish_taken
