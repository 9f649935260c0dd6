"""``kindling-airflow run``: a plan in one session, without Airflow."""
