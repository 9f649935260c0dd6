"""What comes in and what goes out.

A stream starts before the one that feeds it, so its input may not exist yet: it is created from the
schema that is declared here.
"""

from kindling_airflow.data_entities import DataEntities

DataEntities.entity(
    entityid="raw.clicks",
    name="Clicks as the web servers drop them, some of them twice",
    tags={"provider_type": "json", "provider.path": "landing/clicks"},
    schema=("id BIGINT, at TIMESTAMP, visitor STRING, page STRING, status INT, milliseconds INT"),
)

DataEntities.entity(
    entityid="clicks.clean",
    name="Clicks, each once",
    tags={"write_mode": "append"},
    schema=("id BIGINT, at TIMESTAMP, visitor STRING, page STRING, status INT, milliseconds INT"),
)

DataEntities.entity(
    entityid="clicks.alerts",
    name="Clicks that need attention",
    tags={"write_mode": "append"},
    schema="id BIGINT, at TIMESTAMP, page STRING, reason STRING",
)

DataEntities.entity(
    entityid="clicks.per_minute",
    name="Requests of each page, by minute",
    schema=(
        "minute TIMESTAMP, page STRING, clicks BIGINT, failed BIGINT, slowest_milliseconds INT"
    ),
)
