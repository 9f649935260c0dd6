"""Orders day by day, a week of them at a time, and a log of what came."""

from kindling_airflow import DataEntities, DataPipes

DataEntities.entity(
    "raw.orders",
    tags={"provider_type": "json", "interval.column": "ordered_on"},
    schema="id BIGINT, ordered_on DATE, amount DOUBLE",
)
DataEntities.entity(
    "silver.orders",
    tags={"write_mode": "overwrite_interval", "interval.column": "ordered_on"},
    partition_columns=["ordered_on"],
)
DataEntities.entity(
    "gold.weeks",
    tags={"write_mode": "overwrite_interval", "interval.column": "day"},
    partition_columns=["day"],
)
DataEntities.entity("log.orders", tags={"write_mode": "append"})
DataEntities.entity("log.amounts", tags={"write_mode": "append"})


@DataPipes.pipe(
    "silver.orders",
    input_entity_ids=["raw.orders"],
    output_entity_id="silver.orders",
    tags={"interval.read": "slice"},
)
def orders(raw_orders):
    """Replace the run's days by what raw.orders holds of them."""
    return raw_orders.where("amount > 0")


@DataPipes.pipe(
    "gold.weeks",
    input_entity_ids=["silver.orders"],
    output_entity_id="gold.weeks",
    tags={"interval.lookback": "6d"},
)
def weeks(silver_orders, run):
    """What was sold in the seven days up to the run's day."""
    day = run.interval_end.date().isoformat()
    return (
        silver_orders.groupBy()
        .sum("amount")
        .selectExpr(f"DATE'{day}' - INTERVAL 1 DAY AS day", "`sum(amount)` AS amount")
    )


@DataPipes.pipe(
    "log.orders",
    input_entity_ids=["raw.orders"],
    output_entity_id="log.orders",
    tags={"interval.read": "slice"},
)
def order_log(raw_orders):
    """Add the run's orders; another try of the run replaces them."""
    return raw_orders


@DataPipes.pipe(
    "log.amounts",
    input_entity_ids=["log.orders"],
    output_entity_id="log.amounts",
    use_watermark=True,
)
def amounts(log_orders):
    """Work on what log.orders has gained since."""
    return log_orders.select("id", "amount")
