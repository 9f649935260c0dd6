"""A log beside the tables of days: rows are added run by run, and must be there once."""

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="days.cancelled", name="Cancelled flights", tags={"write_mode": "append"}
)


@DataPipes.pipe(
    pipeid="days.cancelled",
    name="What was cancelled on a day",
    tags={"interval.read": "slice"},
    input_entity_ids=["days.flights"],
    output_entity_id="days.cancelled",
)
def cancelled(days_flights):
    """Add the run's flights that never left."""
    return days_flights.where("dep_time IS NULL").select(
        "flight_date", "carrier", "flight", "origin", "sched_dep_time"
    )
