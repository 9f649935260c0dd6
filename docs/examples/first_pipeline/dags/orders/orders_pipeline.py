"""Orders, from a CSV file to the revenue of each day."""

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "csv", "provider.path": "landing/orders.csv"},
    schema="id BIGINT, day DATE, customer STRING, amount DOUBLE, status STRING",
)


@DataPipes.pipe(
    pipeid="silver.orders",
    input_entity_ids=["raw.orders"],
    output_entity_id="silver.orders",
)
def orders(raw_orders):
    """Keep what was not cancelled."""
    return raw_orders.where("status <> 'cancelled'").drop("status")


@DataPipes.pipe(
    pipeid="gold.revenue_by_day",
    input_entity_ids=["silver.orders"],
    output_entity_id="gold.revenue_by_day",
)
def revenue_by_day(silver_orders):
    """Count the orders of each day and add up their amounts."""
    from pyspark.sql import functions as F

    return silver_orders.groupBy("day").agg(
        F.count("*").alias("orders"),
        F.round(F.sum("amount"), 2).alias("revenue"),
    )
