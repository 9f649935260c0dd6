"""The command lines ``kindling-airflow`` and ``airflow kindling``."""
