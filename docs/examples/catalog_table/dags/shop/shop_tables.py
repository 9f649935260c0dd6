"""Orders as tables of the catalog, which SQL finds by name."""

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "csv", "provider.path": "landing/orders.csv"},
    schema="id BIGINT, day DATE, amount DOUBLE",
)
DataEntities.entity(
    entityid="gold.revenue",
    partition_columns=["day"],
    tags={"provider_type": "table", "provider.table": "shop.revenue"},
)


@DataPipes.pipe("gold.revenue", input_entity_ids=["raw.orders"], output_entity_id="gold.revenue")
def revenue(raw_orders):
    """Add up the amounts of each day."""
    from pyspark.sql import functions as F

    return raw_orders.groupBy("day").agg(F.sum("amount").alias("revenue"))
