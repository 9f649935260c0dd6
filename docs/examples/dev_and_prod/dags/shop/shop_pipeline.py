"""Orders, cleaned and counted: one project, deployed twice."""

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "csv", "provider.path": "landing/orders.csv"},
    schema="id BIGINT, day DATE, amount DOUBLE",
)


@DataPipes.pipe("silver.orders", input_entity_ids=["raw.orders"], output_entity_id="silver.orders")
def orders(raw_orders):
    """Keep what has an amount."""
    return raw_orders.where("amount > 0")


@DataPipes.pipe("gold.revenue", input_entity_ids=["silver.orders"], output_entity_id="gold.revenue")
def revenue(silver_orders):
    """Add up the amounts of each day."""
    return silver_orders.groupBy("day").sum("amount").withColumnRenamed("sum(amount)", "revenue")
