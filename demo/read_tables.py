"""A Spark program: copies tables of a catalog into parquet folders, for another engine to read.

Usage: ``spark-submit read_tables.py CATALOG FOLDER TABLE...``
"""

from __future__ import annotations

import sys

from pyspark.sql import SparkSession


def copy(catalog: str, folder: str, *tables: str) -> None:
    """Copy each table into a folder of its name."""
    spark = SparkSession.builder.getOrCreate()
    for table in tables:
        spark.table(f"{catalog}.{table}").coalesce(1).write.parquet(f"{folder}/{table}")


if __name__ == "__main__":
    copy(*sys.argv[1:])
