"""Java classes are had without asking for each part of their names."""

from __future__ import annotations

from pyspark.sql import SparkSession

from kindling_airflow.runner.java import java_class


def test_a_class_is_found_by_its_name(spark: SparkSession) -> None:
    path = java_class(spark, "org.apache.hadoop.fs.Path")
    assert path("/a/b c").getName() == "b c"
