"""``airflow kindling backfill-plan``: what a backfill would run and write."""
