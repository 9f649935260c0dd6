"""A plan between other tasks, in a custom DAG."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from kindling_airflow import kindling_task_group

with DAG("nightly", schedule=None, max_active_tasks=8) as dag:
    files_are_there = EmptyOperator(task_id="files_are_there")
    report = EmptyOperator(task_id="report")

    orders = kindling_task_group("orders.kindling.yaml", group_id="orders", on_error="continue")

    files_are_there >> orders >> report
