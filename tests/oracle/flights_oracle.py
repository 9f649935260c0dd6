"""The flights project's tables, computed by DuckDB from the same files, independently."""

from __future__ import annotations

from pathlib import Path

import duckdb

SOURCES = ("flights", "weather", "planes", "airports", "airlines")

TABLES = {
    "bronze.flights": "SELECT * FROM flights",
    "bronze.weather": "SELECT * FROM weather",
    "bronze.planes": "SELECT * FROM planes",
    "bronze.airports": "SELECT * FROM airports",
    "bronze.airlines": "SELECT * FROM airlines",
    "silver.flights": """
        SELECT make_date(year, month, day) AS flight_date, month, carrier, flight, tailnum, origin,
               dest, sched_dep_time, hour, time_hour, dep_time IS NULL AS cancelled, dep_delay,
               arr_delay, arr_delay < 15 AS on_time, air_time, distance
        FROM flights""",
    "silver.weather": """
        SELECT *, CASE WHEN precip > 0 THEN 'wet' WHEN visib < 3 THEN 'poor sight'
                       WHEN wind_speed >= 20 THEN 'windy' ELSE 'fair' END AS conditions
        FROM (SELECT origin, time_hour, max(temp) AS temp, max(wind_speed) AS wind_speed,
                     max(wind_gust) AS wind_gust, max(precip) AS precip, min(visib) AS visib
              FROM weather GROUP BY ALL)""",
    "silver.planes": """
        SELECT tailnum, year AS built, 2013 - year AS age,
               array_to_string([upper(word[1]) || lower(word[2:])
                                FOR word IN string_split(manufacturer, ' ')], ' ') AS manufacturer,
               model, seats
        FROM planes""",
    "silver.flights_enriched": """
        SELECT f.*, l.name AS airline, a.name AS dest_name, p.age, p.seats, w.conditions,
               w.wind_speed, w.precip
        FROM "silver.flights" f
        LEFT JOIN airlines l ON l.carrier = f.carrier
        LEFT JOIN airports a ON a.faa = f.dest
        LEFT JOIN "silver.planes" p ON p.tailnum = f.tailnum
        LEFT JOIN "silver.weather" w ON w.origin = f.origin AND w.time_hour = f.time_hour""",
    "gold.delays_by_carrier": """
        SELECT carrier, airline, count(*) AS flights, countif(cancelled) AS cancelled,
               round(avg(dep_delay), 2) AS mean_dep_delay, round(avg(arr_delay), 2) AS
               mean_arr_delay, round(avg(on_time::INT), 4) AS on_time_share
        FROM "silver.flights_enriched" GROUP BY carrier, airline""",
    "gold.delays_by_route": """
        SELECT origin, dest, dest_name, count(*) AS flights, count(DISTINCT carrier) AS carriers,
               round(avg(arr_delay), 2) AS mean_arr_delay, max(arr_delay) AS worst_arr_delay
        FROM "silver.flights_enriched" GROUP BY origin, dest, dest_name""",
    "gold.delays_by_hour_and_weather": """
        SELECT hour, coalesce(conditions, 'unknown') AS conditions, count(*) AS flights,
               round(avg(dep_delay), 2) AS mean_dep_delay,
               round(avg(cancelled::INT), 4) AS cancelled_share
        FROM "silver.flights_enriched" GROUP BY 1, 2""",
    "gold.on_time_ranking": """
        SELECT *, row_number() OVER (PARTITION BY origin
                                     ORDER BY on_time_share DESC, arrived DESC, carrier) AS place
        FROM (SELECT origin, carrier, airline, count(*) AS arrived,
                     round(avg(on_time::INT), 4) AS on_time_share
              FROM "silver.flights_enriched" WHERE arr_delay IS NOT NULL
              GROUP BY ALL HAVING count(*) >= 100)""",
    "gold.cancellations_by_month": """
        SELECT month, origin, count(*) AS flights, countif(cancelled) AS cancelled,
               round(avg(cancelled::INT), 4) AS cancelled_share
        FROM "silver.flights" GROUP BY month, origin""",
    "gold.fleet_by_age": """
        SELECT age // 10 * 10 AS decade, count(DISTINCT tailnum) AS aircraft, count(*) AS flights,
               sum(distance)::BIGINT AS miles
        FROM "silver.flights" JOIN "silver.planes" USING (tailnum)
        WHERE NOT cancelled AND age IS NOT NULL GROUP BY ALL""",
    "gold.data_quality": """
        WITH missing(table_name, row_count, check_name, failed) AS (
            SELECT 'flights', count(*), 'no_departure', countif(dep_time IS NULL) FROM flights
            UNION ALL
            SELECT 'flights', count(*), 'no_arrival', countif(arr_time IS NULL) FROM flights
            UNION ALL
            SELECT 'flights', count(*), 'no_tailnum', countif(tailnum IS NULL) FROM flights
            UNION ALL
            SELECT 'flights_enriched', count(*), 'unknown_airline',
                   countif(carrier NOT IN (SELECT carrier FROM airlines)) FROM flights
            UNION ALL
            SELECT 'flights_enriched', count(*), 'unknown_destination',
                   countif(dest NOT IN (SELECT faa FROM airports)) FROM flights
            UNION ALL
            SELECT 'flights_enriched', count(*), 'unknown_aircraft',
                   countif(seats IS NULL) FROM flights LEFT JOIN planes USING (tailnum)
            UNION ALL
            SELECT 'flights_enriched', count(*), 'unknown_weather', countif(w.origin IS NULL)
            FROM flights f LEFT JOIN weather w
              ON w.origin = f.origin AND w.time_hour = f.time_hour
            UNION ALL
            SELECT 'weather', count(*), 'no_wind', countif(wind_speed IS NULL) FROM weather
            UNION ALL
            SELECT 'weather', count(*), 'no_temp', countif(temp IS NULL) FROM weather
            UNION ALL
            SELECT 'planes', count(*), 'no_year', countif(year IS NULL) FROM planes
            UNION ALL
            SELECT 'planes', count(*), 'no_speed', countif(speed IS NULL) FROM planes
            UNION ALL
            SELECT 'hours', count(*), 'no_gust', countif(wind_gust IS NULL) FROM "silver.weather"
            UNION ALL
            SELECT 'hours', count(*), 'no_sight', countif(visib IS NULL) FROM "silver.weather")
        FROM missing""",
}


def expected_tables(landing: Path) -> duckdb.DuckDBPyConnection:
    """Return a database with every table of :data:`TABLES`, computed from the landed files."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    for name in SOURCES:
        database.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_csv('{landing / name}.csv', header = true, "
            "nullstr = 'NA', all_varchar = false, sample_size = -1)"
        )
    for name, query in TABLES.items():
        database.execute(f'CREATE TABLE "{name}" AS {query}')
    return database
