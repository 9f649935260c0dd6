"""A session that many pipes share: the driver behind ``kindling-airflow run``."""
