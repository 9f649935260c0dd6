"""Airflow DAGs from every ``*.kindling.yaml`` in and beneath this folder. Copy unchanged."""

from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
