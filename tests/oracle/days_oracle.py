"""The tables of days, computed by DuckDB from the file of flights, independently."""

from __future__ import annotations

from pathlib import Path

import duckdb

TABLES = {
    "days.flights": "SELECT *, make_date(year, month, day) AS flight_date FROM flights",
    "days.delays": """
        SELECT make_date(year, month, day) AS flight_date, carrier, count(*) AS flights,
               round(avg(dep_delay), 1) AS mean_delay
        FROM flights GROUP BY ALL""",
    "days.cancelled": """
        SELECT make_date(year, month, day) AS flight_date, carrier, flight, origin, sched_dep_time
        FROM flights WHERE dep_time IS NULL""",
}


def expected_days(landing: Path, *days: int) -> duckdb.DuckDBPyConnection:
    """Return a database with every table of :data:`TABLES` as it is after runs of these days."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.execute(
        f"CREATE TABLE flights AS SELECT * FROM read_csv('{landing / 'flights.csv'}', "
        "header = true, nullstr = 'NA', sample_size = -1) "
        f"WHERE month = 1 AND day IN ({', '.join(map(str, days))})"
    )
    for name, query in TABLES.items():
        database.execute(f'CREATE TABLE "{name}" AS {query}')
    return database
