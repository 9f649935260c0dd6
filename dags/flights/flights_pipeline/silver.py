"""Silver: cleaned, and joined to what one wants to ask about.

pyspark is imported inside the functions: Airflow imports this module to learn what it declares, and
must not pay for Spark each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.data_pipes.expectations import accepted, in_range, not_null, unique

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SILVER = {"layer": "silver"}

# An airline counts as on time what arrives less than a quarter of an hour late.
ON_TIME_MINUTES = 15


@DataPipes.pipe(
    pipeid="silver.flights",
    name="Flights, cleaned",
    tags={**SILVER, "duration_hint": 14},
    input_entity_ids=["bronze.flights"],
    output_entity_id="silver.flights",
)
def flights(bronze_flights: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return bronze_flights.select(
        F.make_date("year", "month", "day").alias("flight_date"),
        "month",
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "sched_dep_time",
        "hour",
        "time_hour",
        F.col("dep_time").isNull().alias("cancelled"),
        "dep_delay",
        "arr_delay",
        # Unknown for a flight that never arrived, whatever the reason.
        (F.col("arr_delay") < ON_TIME_MINUTES).alias("on_time"),
        "air_time",
        "distance",
    )


@DataPipes.pipe(
    pipeid="silver.weather",
    name="Weather, one row per airport and hour",
    tags={**SILVER, "duration_hint": 9},
    input_entity_ids=["bronze.weather"],
    output_entity_id="silver.weather",
    expectations=[
        not_null("origin", "time_hour"),
        unique("origin", "time_hour"),  # or flights would double when they are joined to it
        accepted("conditions", ["wet", "poor sight", "windy", "fair"]),
    ],
)
def weather(bronze_weather: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    # An hour that is measured twice, as happens to local hours when the clocks go back, must not
    # double the flights that are joined to it. The larger value wins, column by column, whatever
    # the order.
    worst = ("wind_speed", "wind_gust", "precip")
    return (
        bronze_weather.groupBy("origin", "time_hour")
        .agg(
            F.max("temp").alias("temp"),
            *(F.max(column).alias(column) for column in worst),
            F.min("visib").alias("visib"),
        )
        .withColumn(
            "conditions",
            F.when(F.col("precip") > 0, "wet")
            .when(F.col("visib") < 3, "poor sight")
            .when(F.col("wind_speed") >= 20, "windy")
            .otherwise("fair"),
        )
    )


@DataPipes.pipe(
    pipeid="silver.planes",
    name="Aircraft with their age",
    tags={**SILVER, "duration_hint": 8},
    input_entity_ids=["bronze.planes"],
    output_entity_id="silver.planes",
    expectations=[unique("tailnum"), in_range("built", 1950, 2013, on_violation="warn")],
)
def planes(bronze_planes: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return bronze_planes.select(
        "tailnum",
        F.col("year").alias("built"),
        (F.lit(2013) - F.col("year")).alias("age"),
        F.initcap("manufacturer").alias("manufacturer"),
        "model",
        "seats",
    )


@DataPipes.pipe(
    pipeid="silver.flights_enriched",
    name="Flights with airline, destination, aircraft and weather",
    tags={**SILVER, "duration_hint": 18},
    # The first input drives: without flights there is nothing to do, and the pipe is skipped.
    input_entity_ids=[
        "silver.flights",
        "silver.weather",
        "silver.planes",
        "bronze.airports",
        "bronze.airlines",
    ],
    output_entity_id="silver.flights_enriched",
)
def flights_enriched(
    silver_flights: DataFrame,
    silver_weather: DataFrame,
    silver_planes: DataFrame,
    bronze_airports: DataFrame,
    bronze_airlines: DataFrame,
) -> DataFrame:
    airlines = bronze_airlines.withColumnRenamed("name", "airline")
    airports = bronze_airports.selectExpr("faa AS dest", "name AS dest_name")
    aircraft = silver_planes.select("tailnum", "age", "seats")
    conditions = silver_weather.select("origin", "time_hour", "conditions", "wind_speed", "precip")
    # Left joins: a flight with an unknown aircraft is a flight.
    return (
        silver_flights.join(airlines, "carrier", "left")
        .join(airports, "dest", "left")
        .join(aircraft, "tailnum", "left")
        .join(conditions, ["origin", "time_hour"], "left")
    )
