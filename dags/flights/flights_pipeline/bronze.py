"""Bronze: each source file as a typed table, nothing added and nothing left out.

Later steps read no text files, and a file that breaks its schema fails here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_pipes import DataPipes

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BRONZE = {"layer": "bronze"}


@DataPipes.pipe(
    pipeid="bronze.flights",
    name="Flights as reported",
    tags={**BRONZE, "duration_hint": 12},
    input_entity_ids=["raw.flights"],
    output_entity_id="bronze.flights",
)
def flights(raw_flights: DataFrame) -> DataFrame:
    return raw_flights


@DataPipes.pipe(
    pipeid="bronze.weather",
    name="Weather as measured",
    tags={**BRONZE, "duration_hint": 9},
    input_entity_ids=["raw.weather"],
    output_entity_id="bronze.weather",
)
def weather(raw_weather: DataFrame) -> DataFrame:
    return raw_weather


@DataPipes.pipe(
    pipeid="bronze.planes",
    name="Aircraft as registered",
    tags={**BRONZE, "duration_hint": 8},
    input_entity_ids=["raw.planes"],
    output_entity_id="bronze.planes",
)
def planes(raw_planes: DataFrame) -> DataFrame:
    return raw_planes


@DataPipes.pipe(
    pipeid="bronze.airports",
    name="Airports as listed",
    tags={**BRONZE, "duration_hint": 8},
    input_entity_ids=["raw.airports"],
    output_entity_id="bronze.airports",
)
def airports(raw_airports: DataFrame) -> DataFrame:
    return raw_airports


@DataPipes.pipe(
    pipeid="bronze.airlines",
    name="Airlines as listed",
    tags={**BRONZE, "duration_hint": 8},
    input_entity_ids=["raw.airlines"],
    output_entity_id="bronze.airlines",
)
def airlines(raw_airlines: DataFrame) -> DataFrame:
    return raw_airlines
