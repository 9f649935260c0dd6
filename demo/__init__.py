"""The demos, the throw-away Airflow that they run on, and a client of its API."""
