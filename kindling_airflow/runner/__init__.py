"""Runs one pipe in a Spark driver; imports pyspark and the standard library, but not Airflow.

Nothing imports this room: operators start ``main.py`` by its path with spark-submit.
"""
