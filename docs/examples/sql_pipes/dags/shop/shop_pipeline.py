"""A shop: orders and countries, cleaned and summed up by queries."""

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    entityid="raw.orders",
    tags={"provider_type": "csv", "provider.path": "landing/orders.csv"},
    schema="id INT, country STRING, ordered_at TIMESTAMP, amount DOUBLE",
)

DataPipes.view("silver.orders", sql_file="sql/orders.sql")

DataPipes.view(
    "gold.revenue",
    tags={"layer": "gold"},
    sql="""
        SELECT country, count(*) AS orders, round(sum(amount), 2) AS revenue
        FROM silver_orders
        GROUP BY country
    """,
)
