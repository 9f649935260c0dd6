"""Expectations against a second opinion: small tables, judged in Python as the documentation says.

And the counts of dropped rows when Spark has to try again, in a session that may.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.data_pipes.expectations import (
    Expectation,
    accepted,
    in_range,
    not_null,
    row_count,
    satisfies,
    unique,
)
from kindling_airflow.errors import ExpectationError
from kindling_airflow.protocol.contracts import ExpectationReport
from kindling_airflow.runner.providers.interface import Staged
from kindling_airflow.runner.quality import Audit

pytestmark = pytest.mark.system

Row = Mapping[str, Any]
NUMBERS = [-1, 0, 1, 2]
FLOATS = [-1.5, 0.0, -0.0, 2.0, float("nan"), float("inf")]
TEXTS = ["", "a", "b", " "]

actions = st.sampled_from(["fail", "warn", "drop"])
sterner = st.sampled_from(["fail", "warn"])
limits = st.none() | st.integers(0, 3) | st.sampled_from([0.1, 0.5])
columns = st.sampled_from(["n", "f", "s"])
rows = st.fixed_dictionaries(
    {
        "n": st.none() | st.sampled_from(NUMBERS),
        "f": st.none() | st.sampled_from(FLOATS),
        "s": st.none() | st.sampled_from(TEXTS),
    }
)


@st.composite
def expectations(draw: st.DrawFn) -> Expectation:
    kind = draw(st.sampled_from(["not_null", "unique", "accepted", "in_range", "row", "satisfies"]))
    how: dict[str, Any] = {"on_violation": draw(actions), "tolerate": draw(limits)}
    some = draw(st.lists(columns, min_size=1, max_size=2, unique=True))
    if kind == "not_null":
        return not_null(*some, **how)
    if kind == "unique":
        return unique(*some, **{**how, "on_violation": draw(sterner)})
    if kind == "accepted":
        choices = {"n": NUMBERS, "f": [0.0, 2.0], "s": TEXTS}[some[0]]
        return accepted(some[0], draw(st.lists(st.sampled_from(choices), min_size=1)), **how)
    if kind == "in_range":
        low, high = sorted(draw(st.tuples(st.integers(-2, 3), st.integers(-2, 3))))
        bounds = {"s": ("a", "b")}.get(some[0], (low, high))
        which = draw(st.sampled_from([(True, True), (True, False), (False, True)]))
        return in_range(
            some[0], *(b if w else None for b, w in zip(bounds, which, strict=True)), **how
        )
    if kind == "row":
        return row_count(draw(st.integers(0, 3)), on_violation=draw(sterner))
    return satisfies(draw(st.sampled_from(list(PREDICATES))), **how)


PREDICATES = {
    "n > 0": lambda row: row["n"] is not None and row["n"] > 0,
    "n IS NULL OR s = 'a'": lambda row: row["n"] is None or row["s"] == "a",
    "NOT (n = 1 AND s <> 'b')": lambda row: (
        (row["n"] is not None and row["n"] != 1) or row["s"] == "b"
    ),
}


def breaks(expected: Expectation, row: Row) -> bool:
    """Say whether one row violates an expectation."""
    values = [row[column] for column in expected.columns]
    if expected.check == "satisfies":
        return not PREDICATES[str(expected.predicate)](row)
    if expected.check == "not_null":
        return None in values
    (value,) = values
    if value is None:
        return False
    if expected.check == "accepted":
        return value not in expected.values
    low = expected.minimum is None or value >= expected.minimum
    high = expected.maximum is None or value <= expected.maximum
    return value != value or not (low and high)


def surplus(expected: Expectation, table: list[Row]) -> int:
    """Return how many rows are beyond the first of their key."""
    keys = [[row[column] for column in expected.columns] for row in table]
    same = Counter(repr([0.0 if v == 0 else v for v in key]) for key in keys if None not in key)
    return sum(same.values()) - len(same)


def opinion(promises: list[Expectation], table: list[Row]) -> tuple[list[Row], list[list[Any]]]:
    """Return the rows that are kept, and the outcome and counts of each expectation."""
    drops = [e for e in promises if e.on_violation == "drop"]
    kept = [row for row in table if not any(breaks(e, row) for e in drops)]
    told: list[list[Any]] = []
    for e in promises:
        stern = "warned" if e.on_violation == "warn" else "failed"
        seen = table if e in drops else kept
        if e.check == "row_count":
            told.append([stern if len(kept) < e.minimum else "passed", len(kept), None])
            continue
        wrong = surplus(e, seen) if e.check == "unique" else sum(breaks(e, r) for r in seen)
        limit = e.tolerate
        if limit is None:
            limit = len(seen) if e in drops else 0
        most = limit * len(seen) if isinstance(limit, float) else limit
        fine = "dropped" if e in drops else "tolerated"
        outcome = "passed" if wrong == 0 else fine if wrong <= most else stern
        told.append([outcome, len(seen), wrong])
    return kept, told


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(rows, max_size=7),
    st.lists(expectations(), min_size=2, max_size=8, unique_by=lambda e: e.name),
)
def test_spark_and_python_are_of_one_opinion(
    spark: Any, table: list[dict[str, Any]], promises: list[Expectation]
) -> None:
    kept, told = opinion(promises, table)
    registry = DataPipesRegistry()
    audit = Audit(registry.register_pipe("p", output_entity_id="out", expectations=promises))
    frame = spark.sql(_query(table))
    staged = audit.kept(frame).localCheckpoint()
    try:
        reports: Any = audit.verdict(Staged("memory:p", staged.count(), staged))
    except ExpectationError as error:
        reports = error.reports
        assert "failed" in [outcome for outcome, *_ in told]
    else:
        assert "failed" not in [outcome for outcome, *_ in told]
    assert [_found(report) for report in reports] == told
    found = [repr(tuple(row)) for row in staged.collect()]
    assert sorted(found) == sorted(repr((row["n"], row["f"], row["s"])) for row in kept)


def _query(table: list[dict[str, Any]]) -> str:
    """Return a query that Spark answers without starting a Python worker."""
    head = "SELECT CAST(n AS INT), CAST(f AS DOUBLE), CAST(s AS STRING) FROM VALUES "
    lines = [(row["n"], row["f"], row["s"]) for row in table] or [(0, 0.0, "")]
    values = ", ".join(f"({', '.join(map(_sql, line))})" for line in lines)
    return f"{head}{values} AS t(n, f, s)" + ("" if table else " WHERE n > 0")


def _sql(value: Any) -> str:
    if value is None:
        return "null"
    return f"double('{value}')" if isinstance(value, float) else repr(value)


def _found(report: ExpectationReport) -> list[Any]:
    return [report.outcome, report.rows, report.violations]


PROGRAM = """
import json, sys
from pathlib import Path
from pyspark.sql import SparkSession, functions as F
from kindling_airflow.protocol.contracts import RunRequest
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import DataPipes, DataPipesRegistry
from kindling_airflow.data_pipes.expectations import satisfies, unique
from kindling_airflow.manifest.harvest import HarvestedModules
from kindling_airflow.runner.pipe.run_pipe import run_pipe

spark = (SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "3").config("spark.log.level", "OFF").getOrCreate())

@F.udf("boolean")
def stumbles(n):
    from pyspark import TaskContext
    context = TaskContext.get()
    if context.attemptNumber() < 2 and context.partitionId() != 1 and n % 97 == 96:
        raise OSError("try again")
    return True

def rows():
    spread = spark.range(0, 3000, 1, 4).groupBy("id").agg(F.count("*").alias("n"))
    return spread.where(stumbles("id"))

declared = HarvestedModules(DataPipesRegistry(), DataEntityRegistry())
with DataPipes.declaring_into(declared.pipes):
    expected = [satisfies("id % 10 <> 0", on_violation="drop"), unique("id")]
    DataPipes.pipe("out", output_entity_id="out", expectations=expected)(rows)
report = run_pipe(RunRequest("k", "out", ".", (), sys.argv[1]), spark, declared=declared)
print("RESULT " + json.dumps(report.to_json()))
"""


def test_rows_are_counted_once_however_often_spark_tries(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    (line,) = [x for x in done.stdout.splitlines() if x.startswith("RESULT ")] or [done.stderr]
    report = json.loads(line.removeprefix("RESULT "))
    assert report["error"] is None
    assert report["rows_written"] == 2700
    assert [(e["outcome"], e["rows"], e["violations"]) for e in report["expectations"]] == [
        ("dropped", 3000, 300),
        ("passed", 2700, 0),
    ]
