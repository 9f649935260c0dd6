"""Touches what pipes touch (CSV, joins, aggregates, windows, parquet), and runs some as tasks do.

Run once by the start-up profile, with a JVM that archives the classes that it has loaded at its
end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
    _run_as_tasks_do(spark, folder)
    spark.stop()


def _run_as_tasks_do(spark: SparkSession, folder: Path) -> None:
    """Run a function and a query as pipes: classes of reading, checking, staging, publishing."""
    here = Path(__file__).resolve().parent  # its modules' names would shadow others
    sys.path[:] = [str(here.parent.parent), *(e for e in sys.path if Path(e).resolve() != here)]
    from kindling_airflow.data_entities import DataEntityRegistry
    from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
    from kindling_airflow.data_pipes.expectations import row_count, unique
    from kindling_airflow.manifest.harvest import HarvestedModules
    from kindling_airflow.protocol.contracts import RunRequest
    from kindling_airflow.runner.driver import run_claimed

    declared = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
    declared.entities.register_entity(
        "rows.csv",
        tags={
            "provider_type": "csv",
            "provider.path": "rows.csv",
            "provider.option.nullValue": "NA",
        },
        schema="id INT, kind STRING, at TIMESTAMP, amount DOUBLE",
    )
    declared.entities.register_entity("parts", partition_columns=["kind"])
    with DataPipes.declaring_into(declared.pipes):
        DataPipes.pipe(
            "parts",
            input_entity_ids=["rows.csv"],
            output_entity_id="parts",
            expectations=[row_count(at_least=1), unique("id")],
        )(lambda rows_csv: rows_csv)
        DataPipes.pipe(
            "sums",
            input_entity_ids=["parts"],
            output_entity_id="sums",
            sql="SELECT kind, sum(amount) AS amount FROM parts GROUP BY kind",
        )
    for pipe_id in ("parts", "sums", "sums"):  # the second time a table is replaced
        request = RunRequest("warm-up", pipe_id, "", (), str(folder), attempt_order="000000001")
        report = run_claimed(request, spark, declared=declared)
        if report.status != "published":
            raise RuntimeError(f"the warm-up's pipe {pipe_id!r}: {report.error or report.reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
