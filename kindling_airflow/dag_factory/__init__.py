"""DagSpec -> DAG: definition files, discovery, building. Decides nothing that the translator decides."""

from kindling_airflow.dag_factory.definition import Definition
from kindling_airflow.dag_factory.factory import kindling_dag, load_dags

__all__ = ["Definition", "kindling_dag", "load_dags"]
