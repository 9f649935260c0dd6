"""What the source files look like, and which tables need a declared storage.

An entity that is not declared here is a parquet table with its id as its name, below the
warehouse: outputs of pipes need no declaration.
"""

from kindling_airflow.data_entities import DataEntities

# Every source file writes NA where it knows nothing; its columns are checked against this schema.
NA = {"provider_type": "csv", "provider.option.nullValue": "NA"}

DataEntities.entity(
    entityid="raw.flights",
    name="Departures as the airlines reported them",
    tags={**NA, "provider.path": "landing/flights.csv"},
    schema=(
        "year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, "
        "arr_time INT, sched_arr_time INT, arr_delay INT, carrier STRING, flight INT, "
        "tailnum STRING, origin STRING, dest STRING, air_time INT, distance INT, hour INT, "
        "minute INT, time_hour TIMESTAMP"
    ),
)

DataEntities.entity(
    entityid="raw.weather",
    name="Hourly weather at the three airports of New York",
    tags={**NA, "provider.path": "landing/weather.csv"},
    schema=(
        "origin STRING, year INT, month INT, day INT, hour INT, temp DOUBLE, dewp DOUBLE, "
        "humid DOUBLE, wind_dir INT, wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, "
        "pressure DOUBLE, visib DOUBLE, time_hour TIMESTAMP"
    ),
)

DataEntities.entity(
    entityid="raw.planes",
    name="Register of aircraft",
    tags={**NA, "provider.path": "landing/planes.csv"},
    schema=(
        "tailnum STRING, year INT, type STRING, manufacturer STRING, model STRING, engines INT, "
        "seats INT, speed INT, engine STRING"
    ),
)

DataEntities.entity(
    entityid="raw.airports",
    name="Airports",
    tags={**NA, "provider.path": "landing/airports.csv"},
    schema=(
        "faa STRING, name STRING, lat DOUBLE, lon DOUBLE, alt INT, tz INT, dst STRING, tzone STRING"
    ),
)

DataEntities.entity(
    entityid="raw.airlines",
    name="Airlines",
    tags={**NA, "provider.path": "landing/airlines.csv"},
    schema="carrier STRING, name STRING",
)

DataEntities.entity(
    entityid="silver.flights",
    name="Flights, cleaned",
    merge_columns=["flight_date", "carrier", "flight", "origin", "sched_dep_time"],
    # One folder per month: who asks for a month reads only its files.
    partition_columns=["month"],
)

# A declared schema is a promise: a pipe that returns anything else fails, and the old table stays.
DataEntities.entity(
    entityid="gold.delays_by_carrier",
    name="How late each airline is",
    schema=(
        "carrier STRING, airline STRING, flights BIGINT, cancelled BIGINT, "
        "mean_dep_delay DOUBLE, mean_arr_delay DOUBLE, on_time_share DOUBLE"
    ),
)
