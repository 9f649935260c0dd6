"""What a worker's parse of the DAG file costs before a task: a large DAG against a small one.

Airflow parses the file once more for every task, in a fresh process, and logs the time as
``dag_file_parse_ms``. The same call is made here, after the imports that a worker has behind it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.dag_folder import write_dag_folder
from benchmarks.graphs import real_graph
from benchmarks.timing import in_new_process

__all__ = ["run"]

_ROUNDS = 5
_GRAPH = "healthcare_1211"


def run(console: Console) -> None:
    """Measure and print."""
    records = real_graph(_GRAPH)
    task_id = records[0]["pipeid"]
    least: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        folders = {"10 pipes": records[:10], f"{len(records):,} pipes": records}
        for n, chosen in enumerate(folders.values()):
            write_dag_folder(Path(place) / str(n) / "dags", chosen)
        for _ in range(_ROUNDS):  # in turn, so that a machine that slows down slows all of it
            for n, name in enumerate(folders):
                for task in (task_id, ""):
                    folder = str(Path(place) / str(n) / "dags")
                    found = in_new_process("benchmarks.worker_parse_once", folder, "bench", task)
                    for what in ("all", "own"):
                        key = f"{name}, {'one task' if task else 'whole'}, {what}"
                        least[key] = min(least.get(key, 9e9), found[what])
    table = Table(
        title=f"Parse of the DAG file in a fresh process (CPU ms, least of {_ROUNDS})",
        title_justify="left",
    )
    for column in ("", *folders, "ratio"):
        table.add_column(column, justify="right" if column else "left")
    for kind in ("one task", "whole"):
        for what, text in (("all", "with the imports of the file"), ("own", "without them")):
            small, large = (least[f"{name}, {kind}, {what}"] for name in folders)
            table.add_row(f"{kind}, {text}", f"{small:.0f}", f"{large:.0f}", f"{large / small:.2f}")
    console.print(table)
