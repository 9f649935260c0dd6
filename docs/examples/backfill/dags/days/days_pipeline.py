"""Flights, day by day: each run reads one day of the source and replaces that day of two tables."""

from kindling_airflow import DataEntities, DataPipes

DAILY = {"write_mode": "overwrite_interval"}

DataEntities.entity(
    entityid="raw.flights",
    name="Departures as the airlines reported them",
    tags={
        "provider_type": "csv",
        "provider.path": "landing/flights.csv",
        "provider.option.nullValue": "NA",
    },
    schema=(
        "year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, "
        "arr_time INT, sched_arr_time INT, arr_delay INT, carrier STRING, flight INT, "
        "tailnum STRING, origin STRING, dest STRING, air_time INT, distance INT, hour INT, "
        "minute INT, time_hour TIMESTAMP"
    ),
)
DataEntities.entity(
    entityid="days.flights",
    name="Flights by day",
    tags={**DAILY, "interval.column": "flight_date"},
    partition_columns=["flight_date"],
)
DataEntities.entity(
    entityid="days.delays",
    name="Delays by day and carrier",
    tags={**DAILY, "interval.column": "flight_date"},
    partition_columns=["flight_date"],
)


@DataPipes.pipe(
    pipeid="days.flights",
    name="One day of flights",
    input_entity_ids=["raw.flights"],
    output_entity_id="days.flights",
)
def flights(raw_flights, run):
    """Take the run's days out of the source, which knows nothing of days."""
    from pyspark.sql import functions as F

    day = F.make_date("year", "month", "day")
    first, behind = run.interval_start.date(), run.interval_end.date()
    return raw_flights.withColumn("flight_date", day).where((day >= first) & (day < behind))


@DataPipes.pipe(
    pipeid="days.delays",
    name="Delays of one day",
    tags={"interval.read": "slice"},
    input_entity_ids=["days.flights"],
    output_entity_id="days.delays",
)
def delays(days_flights):
    """Count and average what the run's days hold."""
    from pyspark.sql import functions as F

    return days_flights.groupBy("flight_date", "carrier").agg(
        F.count("*").alias("flights"), F.round(F.avg("dep_delay"), 1).alias("mean_delay")
    )
