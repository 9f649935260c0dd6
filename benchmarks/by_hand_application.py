"""A pipe of the flights project as a plain Spark application, as one would write it by hand.

    spark-submit by_hand_application.py JOB

reads, calls the same function or runs the same query, writes parquet in place, and checks what is
promised of it: no staging, no report. ``JOB`` is JSON: name, project, function, sql, inputs,
output, partitions, checks.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from pyspark.sql import SparkSession


def main(job: dict[str, Any]) -> None:
    """Run one job."""
    spark = SparkSession.builder.appName(job["name"]).getOrCreate()
    frames = {}
    for name, source in job["inputs"].items():
        reader = spark.read.format(source["format"]).options(**source["options"])
        if source["schema"]:
            reader = reader.schema(source["schema"])
        frames[name] = reader.load(source["path"])
    if job["sql"]:
        for name, frame in frames.items():
            frame.createOrReplaceTempView(name)
        result = spark.sql(job["sql"])
    else:
        sys.path.insert(0, job["project"])
        module = importlib.import_module(job["function"]["module"])
        result = getattr(module, job["function"]["qualname"])(**frames)
    writer = result.write.mode("overwrite")
    if job["partitions"]:
        writer = writer.partitionBy(*job["partitions"])
    writer.parquet(job["output"])
    if job["checks"]:
        spark.read.parquet(job["output"]).createOrReplaceTempView("written")
        counts = spark.sql(f"SELECT {', '.join(job['checks'])} FROM written").collect()[0]
        if any(counts):
            raise SystemExit(f"{job['name']}: {job['checks']} gave {list(counts)}")
    spark.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
