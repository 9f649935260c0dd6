"""A definition file, read and compiled. Nothing here knows Airflow."""
