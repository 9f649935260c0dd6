"""``airflow kindling stop``: streams of a DAG drain and stop."""
