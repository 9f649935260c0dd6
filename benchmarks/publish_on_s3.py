"""What a publish costs on s3a against a plain ``df.write`` of the same rows to the same server.

    plain      df.write.mode("overwrite") of the format, in place: what readers see in between, and
               what two writers at once lose, is up to the format
    publish    stage, count what is really there, publish

In turn, in one session of two threads, on the S3 server of the tests (one request at a time). The
rows are in the session's cache, so that making them costs neither side. Each side replaces a whole
table, and then one of ten days of it.

Variables: KINDLING_S3_ROUNDS (5), KINDLING_S3_ROWS (200000).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo.services import Postgres, S3Server
from kindling_airflow.runner.providers.contract import Case
from kindling_airflow.runner.providers.interface import Write
from kindling_airflow.tags.intervals import IntervalSlice
from tests.cluster.log_stores import delta_on_s3
from tests.runner.formats.sessions import catalog_conf, session_for
from tests.runner.jars import format_jars

__all__ = ["run"]

ROUNDS = int(os.environ.get("KINDLING_S3_ROUNDS", "5"))
ROWS = int(os.environ.get("KINDLING_S3_ROWS", "200000"))
DAYS = 10
KINDS = ("parquet", "delta", "iceberg")
START = datetime(2013, 1, 1, tzinfo=timezone.utc)


def run(console: Console) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with S3Server(root) as s3, Postgres(root / "postgres") as database:
            s3.create_bucket("lake")
            database.create_database("lake")
            address = f"{database.jdbc_url('lake')}?user={database.user}"
            spark = _session(root, s3, address)
            try:
                rows = _measured(spark)
            finally:
                spark.stop()
    table = Table(title=f"{ROWS:,} rows on s3a, seconds: median of {ROUNDS}", title_justify="left")
    for column in ("format", "write", "plain", "publish", "ratio"):
        table.add_column(column, justify="left" if column in ("format", "write") else "right")
    for kind, what, plain, publish in rows:
        ours, theirs = statistics.median(publish), statistics.median(plain)
        table.add_row(kind, what, f"{theirs:.2f}", f"{ours:.2f}", f"{ours / theirs:.2f}")
    console.print(table)


def _session(root: Path, s3: S3Server, address: str) -> Any:
    delta = delta_on_s3(root)
    jars = ",".join([delta.pop("spark.jars"), *map(str, format_jars("iceberg"))])
    conf = {
        **s3.spark_settings(),
        **delta,
        **catalog_conf("lake", address, "s3a://lake/catalog"),
        "spark.jars": f"{jars},{Postgres.jar()}",
        # As a driver has it; small tests turn it off.
        "spark.sql.codegen.wholeStage": "true",
        "spark.sql.codegen.factoryMode": "FALLBACK",
    }
    return session_for("delta+iceberg", conf)


def _measured(spark: Any) -> list[tuple[str, str, list[float], list[float]]]:
    rows = spark.range(ROWS).selectExpr(
        "id",
        f"DATE_ADD(DATE'2013-01-01', CAST(id % {DAYS} AS INT)) AS day",
        "CONCAT('customer ', id % 1000) AS customer",
        "id * 1.5 AS amount",
    )
    every = rows.repartition(2).cache()
    day = every.where("day = DATE'2013-01-02'").repartition(1).cache()
    assert every.count() == ROWS
    assert day.count() == ROWS // DAYS
    found = []
    for kind in KINDS:
        plain, ours = _Plain(spark, kind), _Ours(spark, kind)
        for what, frame in (("whole table", every), ("one day of ten", day)):
            is_slice = frame is day
            theirs, mine = _in_turn(
                partial(plain.write, frame, is_slice=is_slice),
                partial(ours.write, frame, is_slice=is_slice),
            )
            found.append((kind, what, theirs, mine))
    return found


def _in_turn(*actions: Callable[[], None]) -> list[list[float]]:
    """Return the seconds of each round of each action, without the first round."""
    found: list[list[float]] = [[] for _ in actions]
    for number in range(ROUNDS + 1):
        for place, action in enumerate(actions):
            start = time.perf_counter()
            action()
            if number:
                found[place].append(time.perf_counter() - start)
    return found


class _Plain:
    """Spark's own writer, as one would use it by hand."""

    def __init__(self, spark: Any, kind: str) -> None:
        self._kind, self._spark = kind, spark
        self._place = "lake.plain.orders" if kind == "iceberg" else f"s3a://lake/plain/{kind}"
        if kind == "iceberg":
            spark.sql("CREATE NAMESPACE IF NOT EXISTS lake.plain")

    def write(self, frame: Any, *, is_slice: bool) -> None:
        if self._kind == "iceberg":
            writer = frame.writeTo(self._place).using("iceberg").partitionedBy("day")
            if is_slice:
                writer.overwritePartitions()
            else:
                writer.createOrReplace()
            return
        writer = frame.write.format(self._kind).mode("overwrite").partitionBy("day")
        if is_slice:
            writer = writer.option("partitionOverwriteMode", "dynamic")
        writer.save(self._place)


class _Ours:
    """A provider, as a driver uses it."""

    def __init__(self, spark: Any, kind: str) -> None:
        tags = {"provider_type": kind}
        tags |= {"provider.catalog": "lake"} if kind == "iceberg" else {}
        self._case = Case(spark, "s3a://lake/ours", tags, f"bench.{kind}")
        self._entity = self._case.entity(partition_columns=("day",))
        self._attempts = 0

    def write(self, frame: Any, *, is_slice: bool) -> None:
        self._attempts += 1
        one = IntervalSlice("day", START + timedelta(days=1), START + timedelta(days=2))
        order = 0x019306A07B2C700 + self._attempts
        name = f"a{self._attempts}"
        write = (
            Write("0123456789abcdef", name, "overwrite_interval", one, order=order)
            if is_slice
            else Write("0123456789abcdef", name, order=order)
        )
        provider = self._case.provider(self._entity)
        staged = provider.stage(self._entity, frame, write)
        provider.publish(self._entity, staged, write)
