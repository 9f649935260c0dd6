"""A batch pipe beside streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@DataPipes.pipe("tally", input_entity_ids=["landing"], output_entity_id="tallied")
def tally(landing: DataFrame) -> DataFrame:
    return landing.groupBy().count()
