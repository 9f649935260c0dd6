"""One stream as somebody would write it by hand: ``spark-submit stream_by_hand.py JOB``.

JOB is JSON: what to read (format, path, schema), where to write, and the checkpoint. It prints
``READY`` when its query has planned its first batch or its source is idle, and ends with SIGTERM.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pyspark.sql import SparkSession


def main() -> None:
    """Start the stream and stay with it."""
    job = json.loads(sys.argv[1])
    Path(job["read"]).mkdir(parents=True, exist_ok=True)
    spark = SparkSession.builder.appName(job["name"]).getOrCreate()
    rows = spark.readStream.format(job["format"]).schema(job["schema"]).load(job["read"])
    query = (
        rows.writeStream.format("parquet")
        .queryName(job["name"])
        .option("checkpointLocation", job["checkpoint"])
        .trigger(processingTime="500 milliseconds")
        .start(job["write"])
    )
    while query.isActive and query.status["message"].startswith(("Initializing", "Getting")):
        time.sleep(0.1)
    print("READY", flush=True)
    query.awaitTermination()


main()
