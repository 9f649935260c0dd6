"""Reads and compiles definition files, without Airflow."""
