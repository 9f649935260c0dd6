"""Touches what pipes touch (CSV, joins, aggregates, windows, parquet), to load their classes.

Run once by the start-up profile, with the JVM told to archive the classes that it has loaded at its
end.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Write and read small tables beneath ``folder``."""
    from pyspark.sql import SparkSession, Window
    from pyspark.sql import functions as F

    spark = (
        SparkSession.builder.appName("warm-up")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    csv = folder / "rows.csv"
    csv.write_text("id,kind,at,amount\n1,a,2013-01-01T05:00:00Z,1.5\n2,b,2013-01-02T05:00:00Z,NA\n")
    reader = spark.read.options(
        header="true", nullValue="NA", enforceSchema="false", mode="FAILFAST"
    )
    rows = reader.schema("id INT, kind STRING, at TIMESTAMP, amount DOUBLE").csv(str(csv))
    table = str(folder / "rows")
    rows.write.parquet(table)
    rows = spark.read.parquet(table)
    rows.count()
    ranked = rows.withColumn("rank", F.row_number().over(Window.partitionBy("kind").orderBy("at")))
    totals = rows.groupBy("kind").agg(
        F.avg("amount").alias("mean"),
        F.count(F.lit(1)).alias("n"),
        F.count_distinct("id").alias("ids"),
    )
    joined = (
        ranked.join(F.broadcast(totals), "kind", "left")
        .withColumn("day", F.to_date("at"))
        .withColumn(
            "size", F.when(F.col("n") > 1, "many").otherwise(F.round("mean", 2).cast("string"))
        )
        .dropDuplicates(["id"])
        .unionByName(ranked.limit(0), allowMissingColumns=True)
    )
    joined.write.partitionBy("day").parquet(str(folder / "joined"))
    ranked.join(totals.hint("merge"), "kind").orderBy("rank").write.parquet(str(folder / "merged"))
    spark.read.parquet(str(folder / "joined")).filter("day = '2013-01-01'").isEmpty()
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
