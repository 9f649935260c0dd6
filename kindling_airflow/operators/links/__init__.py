"""Buttons of a task in Airflow's UI: to Spark, and to the table."""
