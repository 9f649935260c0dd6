"""What a large DAG costs Airflow: the bytes that are stored, and the parse in the DAG processor.

Four DAGs with the same tasks and edges:

    this package            with a compiled manifest
    without assets          the same with ``assets: false``
    by hand                 SparkSubmitOperators with the same groups, documentation, assets
    bare                    BashOperators without any of that
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.dag_folder import write_dag_folder
from benchmarks.graphs import real_graph
from benchmarks.timing import in_new_process
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.dag_parts import dag_parts
from kindling_airflow.definitions.definition import Definition

__all__ = ["run", "write_bare", "write_by_hand"]

_ROUNDS = 5
_GRAPH = "healthcare_1211"

_BARE = """\
import json
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

TASKS = json.loads(Path(__file__).with_name("tasks.json").read_text())
with DAG("bare", schedule=None, max_active_tasks=16) as dag:
    made = {task["task_id"]: BashOperator(task_id=task["task_id"], bash_command="true")
            for task in TASKS}
    for task in TASKS:
        if task["upstream"]:
            made[task["task_id"]].set_upstream([made[name] for name in task["upstream"]])
"""
_BY_HAND = """\
import json
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Asset, TaskGroup

TASKS = json.loads(Path(__file__).with_name("tasks.json").read_text())
with DAG("by_hand", schedule=None, max_active_tasks=16) as dag:
    made, groups, assets = {}, {}, {}

    def asset(name):
        return assets.setdefault(name, Asset(name=name, uri=name))

    for task in TASKS:
        if task["group"] not in groups:
            groups[task["group"]] = TaskGroup(task["group"], prefix_group_id=False)
        made[task["task_id"]] = SparkSubmitOperator(
            task_id=task["task_id"], task_group=groups[task["group"]], doc=task["doc"],
            pool="default_pool", priority_weight=task["weight"], weight_rule="absolute",
            trigger_rule="none_failed", conf={"spark.x": "1"}, application="main.py",
            name=task["task_id"], inlets=[asset(name) for name in task["inlets"]],
            outlets=[asset(name) for name in task["outlets"]],
        )
    for task in TASKS:
        if task["upstream"]:
            made[task["task_id"]].set_upstream([made[name] for name in task["upstream"]])
"""


def run(console: Console) -> None:
    """Measure and print."""
    records = real_graph(_GRAPH)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        definition = write_dag_folder(root / "a" / "dags", records)
        without = write_dag_folder(root / "b" / "dags", records, more="assets: false\n")
        compiled = compile_definition(Definition.from_file(definition))
        files = {
            "this package": definition.with_name("dags.py"),
            "without assets": without.with_name("dags.py"),
            "by hand": write_by_hand(root / "c" / "dags", compiled),
            "bare": write_bare(root / "d" / "dags", compiled),
        }
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in files}
        for _ in range(_ROUNDS):  # in turn, so that a machine that slows down slows all of it
            for name, path in files.items():
                found[name].append(in_new_process("benchmarks.dag_size_once", str(path)))
    table = Table(
        title=f"{_GRAPH} in the DAG processor (least of {_ROUNDS} processes)", title_justify="left"
    )
    for column in ("", "stored, MB", "per task, bytes", "parse, CPU s", "parse, wall s"):
        table.add_column(column, justify="right" if column else "left")
    for name, rounds in found.items():
        size, tasks = rounds[0]["bytes"], rounds[0]["tasks"]
        cpu, wall = (min(r[key] for r in rounds) for key in ("cpu", "wall"))
        table.add_row(
            name, f"{size / 1e6:.2f}", f"{size / tasks:,.0f}", f"{cpu:.2f}", f"{wall:.2f}"
        )
    console.print(table)
    fields = Table(title="Where the bytes are (kB)", title_justify="left")
    for column in ("", *found):
        fields.add_column(column, justify="right" if column else "left")
    sizes = {name: rounds[0]["fields"] for name, rounds in found.items()}
    names = dict.fromkeys(name for size in sizes.values() for name in size)
    for field in sorted(names, key=lambda f: -sizes["this package"].get(f, 0))[:16]:
        fields.add_row(field, *(f"{size.get(field, 0) / 1e3:.0f}" for size in sizes.values()))
    console.print(fields)


def write_bare(folder: Path, compiled: Compiled) -> Path:
    """Write the DAG file of BashOperators with the tasks of a compiled definition."""
    return _written(folder, compiled, _BARE)


def write_by_hand(folder: Path, compiled: Compiled) -> Path:
    """Write the DAG file of SparkSubmitOperators with what the tasks of a definition hold."""
    return _written(folder, compiled, _BY_HAND)


def _written(folder: Path, compiled: Compiled, text: str) -> Path:
    folder.mkdir(parents=True)
    parts = dag_parts(compiled)
    tasks = [
        {
            "task_id": task.task_id,
            "upstream": list(task.upstream),
            "group": group.group_id,
            "doc": parts.of_pipe(task).doc.get("doc", ""),
            "weight": task.priority_weight,
            "inlets": list(task.inlets),
            "outlets": list(task.outlets),
        }
        for group in compiled.spec.groups
        for task in group.tasks
    ]
    (folder / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    path = folder / "dags.py"
    path.write_text(text, encoding="utf-8")
    return path
