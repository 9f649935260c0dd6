"""The Spark side: runs one pipe in a driver. Knows pyspark and the standard library, no Airflow.

Nothing imports this room: operators start ``main.py`` by its path with spark-submit.
"""
