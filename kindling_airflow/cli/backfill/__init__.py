"""``airflow kindling backfill-plan``: what a change makes necessary to run again."""
