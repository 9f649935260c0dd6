"""Orders, and what is promised about them."""

from kindling_airflow import DataPipes
from kindling_airflow.data_pipes.expectations import (
    accepted,
    in_range,
    not_null,
    row_count,
    satisfies,
    unique,
)


@DataPipes.pipe(
    pipeid="silver.orders",
    input_entity_ids=["raw.orders"],
    output_entity_id="silver.orders",
    expectations=[
        not_null("id", on_violation="drop", tolerate=0.1),
        unique("id"),
        accepted("status", ["open", "shipped", "cancelled"]),
        in_range("amount", 0, 1_000_000, on_violation="warn"),
        satisfies("shipped_on >= ordered_on OR shipped_on IS NULL", name="order of dates"),
        row_count(at_least=1),
    ],
)
def orders(raw_orders):
    """Take the orders as they come."""
    return raw_orders
