"""Gold: answers. Each table is small, and each of its columns means something to its readers.

Most are functions; two are queries, one of them in a separate file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kindling_airflow.data_pipes import DataPipes
from kindling_airflow.data_pipes.expectations import in_range, row_count, satisfies, unique

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

GOLD = {"layer": "gold"}


def _share(condition: str) -> Column:
    """Return the share of rows for which a condition holds, of those where it is known."""
    from pyspark.sql import functions as F

    return F.round(F.avg(F.expr(condition).cast("int")), 4)


def _mean(column: str) -> Column:
    from pyspark.sql import functions as F

    return F.round(F.avg(column), 2)


def _count_if(condition: str) -> Column:
    from pyspark.sql import functions as F

    return F.count_if(F.expr(condition))


@DataPipes.pipe(
    pipeid="gold.delays_by_carrier",
    name="How late each airline is",
    tags={**GOLD, "duration_hint": 10},
    input_entity_ids=["silver.flights_enriched"],
    output_entity_id="gold.delays_by_carrier",
    expectations=[
        row_count(at_least=1),
        unique("carrier"),
        in_range("on_time_share", 0, 1),
        satisfies("cancelled <= flights"),
    ],
)
def delays_by_carrier(silver_flights_enriched: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return silver_flights_enriched.groupBy("carrier", "airline").agg(
        F.count("*").alias("flights"),
        _count_if("cancelled").alias("cancelled"),
        _mean("dep_delay").alias("mean_dep_delay"),
        _mean("arr_delay").alias("mean_arr_delay"),
        _share("on_time").alias("on_time_share"),
    )


DataPipes.view(
    "gold.delays_by_route",
    name="How late each route is",
    tags={**GOLD, "duration_hint": 10},
    input_entity_ids=["silver.flights_enriched"],
    sql="""
        SELECT
            origin,
            dest,
            dest_name,
            count(*) AS flights,
            count(DISTINCT carrier) AS carriers,
            round(avg(arr_delay), 2) AS mean_arr_delay,
            max(arr_delay) AS worst_arr_delay
        FROM silver_flights_enriched
        GROUP BY origin, dest, dest_name
    """,
)


@DataPipes.pipe(
    pipeid="gold.delays_by_hour_and_weather",
    name="When, and in which weather, departures are late",
    tags={**GOLD, "duration_hint": 10},
    input_entity_ids=["silver.flights_enriched"],
    output_entity_id="gold.delays_by_hour_and_weather",
)
def delays_by_hour_and_weather(silver_flights_enriched: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return (
        silver_flights_enriched.na.fill({"conditions": "unknown"})
        .groupBy("hour", "conditions")
        .agg(
            F.count("*").alias("flights"),
            _mean("dep_delay").alias("mean_dep_delay"),
            _share("cancelled").alias("cancelled_share"),
        )
    )


DataPipes.view(
    "gold.on_time_ranking",
    name="The airlines by punctuality, airport by airport",
    tags={**GOLD, "duration_hint": 10},
    input_entity_ids=["silver.flights_enriched"],
    sql_file="sql/on_time_ranking.sql",
)


@DataPipes.pipe(
    pipeid="gold.cancellations_by_month",
    name="Cancelled flights, month by month",
    tags={**GOLD, "duration_hint": 9},
    input_entity_ids=["silver.flights"],
    output_entity_id="gold.cancellations_by_month",
)
def cancellations_by_month(silver_flights: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return silver_flights.groupBy("month", "origin").agg(
        F.count("*").alias("flights"),
        _count_if("cancelled").alias("cancelled"),
        _share("cancelled").alias("cancelled_share"),
    )


@DataPipes.pipe(
    pipeid="gold.fleet_by_age",
    name="How far aircraft of each age fly",
    tags={**GOLD, "duration_hint": 10},
    input_entity_ids=["silver.flights", "silver.planes"],
    output_entity_id="gold.fleet_by_age",
)
def fleet_by_age(silver_flights: DataFrame, silver_planes: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return (
        silver_flights.where("NOT cancelled")
        .join(silver_planes.where("age IS NOT NULL"), "tailnum")
        .withColumn("decade", F.floor(F.col("age") / 10) * 10)
        .groupBy("decade")
        .agg(
            F.count_distinct("tailnum").alias("aircraft"),
            F.count("*").alias("flights"),
            F.sum("distance").alias("miles"),
        )
    )


@DataPipes.pipe(
    pipeid="gold.data_quality",
    name="What is missing in the sources",
    tags={**GOLD, "duration_hint": 12},
    input_entity_ids=[
        "silver.flights_enriched",
        "bronze.flights",
        "bronze.weather",
        "silver.weather",
        "bronze.planes",
    ],
    output_entity_id="gold.data_quality",
)
def data_quality(
    silver_flights_enriched: DataFrame,
    bronze_flights: DataFrame,
    bronze_weather: DataFrame,
    silver_weather: DataFrame,
    bronze_planes: DataFrame,
) -> DataFrame:
    from functools import reduce

    def counted(table: str, frame: DataFrame, **conditions: str) -> DataFrame:
        """Return one row per check: how many of a table's rows fail it."""
        counts = frame.selectExpr(
            "count(*) AS row_count",
            *(f"count_if({condition}) AS {check}" for check, condition in conditions.items()),
        )
        pairs = ", ".join(f"'{check}', {check}" for check in conditions)
        return counts.selectExpr(
            f"'{table}' AS table_name",
            "row_count",
            f"stack({len(conditions)}, {pairs}) AS (check_name, failed)",
        )

    return reduce(
        lambda a, b: a.unionByName(b),
        [
            counted(
                "flights",
                bronze_flights,
                no_departure="dep_time IS NULL",
                no_arrival="arr_time IS NULL",
                no_tailnum="tailnum IS NULL",
            ),
            counted(
                "flights_enriched",
                silver_flights_enriched,
                unknown_airline="airline IS NULL",
                unknown_destination="dest_name IS NULL",
                unknown_aircraft="seats IS NULL",
                unknown_weather="conditions IS NULL",
            ),
            counted(
                "weather", bronze_weather, no_wind="wind_speed IS NULL", no_temp="temp IS NULL"
            ),
            counted("planes", bronze_planes, no_year="year IS NULL", no_speed="speed IS NULL"),
            counted("hours", silver_weather, no_gust="wind_gust IS NULL", no_sight="visib IS NULL"),
        ],
    )
