"""The Airflow operators that run pipes and streams, wait for readiness, and stop streams."""
