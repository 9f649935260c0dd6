"""Which pools the DAGs of a deployment need, and which there are. Airflow is imported lazily."""
