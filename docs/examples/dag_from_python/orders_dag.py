"""One Airflow DAG from Python, in place of a definition file."""

from kindling_airflow import kindling_dag

dag = kindling_dag(
    __file__,
    dag_id="orders_nightly",
    project={"path": "orders", "modules": ["orders_pipeline"]},
    schedule="0 3 * * *",
    start_date="2026-03-01",
    width=2,
    spark={"conn_id": "spark_default", "conf": {"spark.sql.session.timeZone": "UTC"}},
)
