"""A Spark session that has an S3 server behind ``s3a://``."""

from __future__ import annotations

from typing import Any

from tests.s3_server import S3Server, s3a_class_path

__all__ = ["s3a_session"]

_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def s3a_session(server: S3Server) -> Any:
    """Return a small local session; the process must not have had one before."""
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master("local[2]")
        .appName("tests of s3a")
        .config("spark.driver.extraClassPath", s3a_class_path())
        .config("spark.driver.extraJavaOptions", _JAVA)
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.log.level", "OFF")
    )
    for key, value in server.spark_conf().items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
