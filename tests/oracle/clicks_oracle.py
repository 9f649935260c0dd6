"""The clicks project's tables, computed by DuckDB from the same files, independently."""

from __future__ import annotations

from pathlib import Path

import duckdb

TABLES = {
    "clicks.clean": """
        SELECT DISTINCT id, "at", visitor, page, status, milliseconds FROM clicks
        WHERE id IS NOT NULL AND starts_with(page, '/')""",
    "clicks.alerts": """
        SELECT id, "at", page, CASE WHEN status >= 500 THEN 'failed' ELSE 'slow' END AS reason
        FROM "clicks.clean" WHERE status >= 500 OR milliseconds >= 2000""",
    "clicks.per_minute": """
        SELECT time_bucket(INTERVAL 1 MINUTE, "at") AS minute, page, count(*) AS clicks,
               countif(status >= 500) AS failed, max(milliseconds) AS slowest_milliseconds
        FROM "clicks.clean" GROUP BY ALL""",
}

COLUMNS = (
    "{id: 'BIGINT', \"at\": 'TIMESTAMPTZ', visitor: 'VARCHAR', page: 'VARCHAR', status: 'INTEGER', "
    "milliseconds: 'INTEGER'}"
)


def expected_clicks(landing: Path) -> duckdb.DuckDBPyConnection:
    """Return a database with every table of the project, made from the files in ``landing``."""
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    files = f"{landing}/clicks/*.json"
    database.execute(
        f"CREATE TABLE clicks AS SELECT * FROM read_json('{files}', columns = {COLUMNS}, "
        "format = 'newline_delimited')"
    )
    for name, query in TABLES.items():
        database.execute(f'CREATE TABLE "{name}" AS {query}')
    return database
