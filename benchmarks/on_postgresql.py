"""What a large DAG costs a deployment on PostgreSQL: stored bytes, parse, seconds per task.

Two DAGs of 1,211 tasks run at once on one scheduler, so that both have the same machine:

    kindling   this package with a compiled manifest; a stand-in for spark-submit answers at once
    bare       the same edges as BashOperators that run ``true``

Needs PostgreSQL, and the packages of the group ``cluster``. KINDLING_BENCH_SECONDS sets how long
the DAGs run (120).
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.dag_folder import write_dag_folder
from benchmarks.dag_size import write_bare
from benchmarks.graphs import real_graph
from demo.local_airflow import LocalAirflow
from demo.services import Postgres
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition

__all__ = ["run"]

SECONDS = int(os.environ.get("KINDLING_BENCH_SECONDS", "120"))
_GRAPH = "healthcare_1211"
_DAGS = ("kindling", "bare")
BIN = Path(sys.executable).parent
_SUBMIT = """\
#!/bin/bash
for word; do :; done
key=${word#*'"attempt_key":"'}; key=${key%%'"'*}
pipe=${word#*'"pipe_id":"'}; pipe=${pipe%%'"'*}
echo "KINDLING-REPORT {\\"version\\": 1, \\"attempt_key\\": \\"$key\\", \\"pipe_id\\": \\"$pipe\\",\
 \\"status\\": \\"published\\", \\"output_entity_id\\": \\"out\\", \\"rows_written\\": 3,\
 \\"duration_seconds\\": 0.1}"
"""
_DURATIONS = """\
SELECT dag_id, EXTRACT(EPOCH FROM end_date - start_date) FROM task_instance
WHERE state = 'success' AND operator IN ('KindlingPipeOperator', 'BashOperator')
"""
_SIZES = """\
SELECT dag_id, max(octet_length(data::text)), max(pg_column_size(data)) FROM serialized_dag
GROUP BY dag_id
"""
_PARSES = "SELECT dag_id, last_parse_duration FROM dag"


def run(console: Console) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        definition = write_dag_folder(root / "dags", real_graph(_GRAPH), _DAGS[0])
        write_bare(root / "dags" / "bare", compile_definition(Definition.from_file(definition)))
        (root / "bin").mkdir()
        submit = root / "bin" / "spark-submit"
        submit.write_text(_SUBMIT)
        submit.chmod(0o755)
        with Postgres(root / "postgres") as server:
            server.create_database("airflow")
            environment = {
                "PATH": os.pathsep.join(map(str, (submit.parent, BIN, os.environ["PATH"]))),
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.sqlalchemy_url("airflow"),
            }

            def query(text: str) -> list[list[str]]:
                return [line.split("|") for line in server.sql(text, "airflow")]

            local = LocalAirflow(
                root / "home",
                dags_folder=root / "dags",
                warehouse=root / "warehouse",
                environment=environment,
                parallelism=2,
            )
            with local as airflow:
                rows = _measured(airflow, query)
    table = Table(title=f"{_GRAPH} on PostgreSQL, both at once", title_justify="left")
    for column in ("", *_DAGS):
        table.add_column(column, justify="right" if column else "left")
    for name, values in rows.items():
        table.add_row(name, *values)
    console.print(table)


def _measured(airflow: LocalAirflow, query: Any) -> dict[str, tuple[str, ...]]:
    for dag_id in _DAGS:
        airflow.api.wait_for_dag(dag_id, 400)
    time.sleep(30)  # a few more parses
    parses: dict[str, list[float]] = {dag_id: [] for dag_id in _DAGS}
    for dag_id in _DAGS:
        airflow.api.unpause(dag_id)
        airflow.api.trigger(dag_id)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(10)
        for dag_id, seconds in query(_PARSES):
            parses[dag_id].append(float(seconds))
    sizes = {dag_id: (int(text), int(kept)) for dag_id, text, kept in query(_SIZES)}
    tasks: dict[str, list[float]] = {dag_id: [] for dag_id in _DAGS}
    for dag_id, seconds in query(_DURATIONS):
        tasks[dag_id].append(float(seconds))
    return {
        "stored JSON, MB": tuple(f"{sizes[d][0] / 1e6:.2f}" for d in _DAGS),
        "as PostgreSQL keeps it, MB": tuple(f"{sizes[d][1] / 1e6:.2f}" for d in _DAGS),
        "parse, s: least": tuple(f"{min(parses[d]):.2f}" for d in _DAGS),
        "parse, s: median": tuple(f"{statistics.median(parses[d]):.2f}" for d in _DAGS),
        "tasks done": tuple(str(len(tasks[d])) for d in _DAGS),
        "a task, s: least": tuple(f"{min(tasks[d]):.2f}" for d in _DAGS),
        "a task, s: median": tuple(f"{statistics.median(tasks[d]):.2f}" for d in _DAGS),
    }
