"""An Airflow DAG file: every definition beside it becomes a DAG."""

from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
