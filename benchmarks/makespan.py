"""How long a run takes in a pool, by the priority weights of the real DAG and by Airflow's own.

The DAG is built as Airflow gets it; its tasks, their edges and weights are read from it. Durations
are made up: log-normal, the longest hundreds of times the shortest, as real tables are. Queues are
those of Airflow: of the tasks that may start, the one with the greatest weight starts.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.dag_folder import write_dag_folder
from benchmarks.graphs import REAL, Record, real_graph
from benchmarks.timing import in_new_process

__all__ = ["run"]

_WIDTHS = (2, 4, 8, 16, 32)
_SEEDS = 5


def run(console: Console) -> None:
    """Measure and print."""
    table = Table(
        title=f"Makespan / lower bound, worst of {_SEEDS} draws of durations", title_justify="left"
    )
    for column in ("graph", "weights", *(f"width {width}" for width in _WIDTHS)):
        table.add_column(column, justify="left" if column in ("graph", "weights") else "right")
    for name in REAL:
        found = in_new_process("benchmarks.makespan", name)
        for weights, ratios in found.items():
            table.add_row(name, weights, *(f"{ratio:.3f}" for ratio in ratios))
    console.print(table)


def main(graph: str) -> None:
    """Measure one graph; prints a JSON document."""
    worst: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIRFLOW_HOME"] = str(Path(folder) / "airflow_home")
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        for seed in range(_SEEDS):
            records = _with_durations(real_graph(graph), seed)
            path = write_dag_folder(Path(folder) / str(seed), records)
            from kindling_airflow.dag_factory import load_dags

            dag = load_dags(path.with_name("dags.py"))["bench"]
            lengths = {task.task_id: _length(task, records) for task in dag.tasks}
            for name, weights in _all_weights(dag).items():
                ratios = [_ratio(dag, lengths, weights, width) for width in _WIDTHS]
                before = worst.setdefault(name, ratios)
                worst[name] = [max(pair) for pair in zip(before, ratios, strict=True)]
    print(json.dumps(worst))


def _with_durations(records: list[Record], seed: int) -> list[Record]:
    source = random.Random(seed)
    return [
        {
            **record,
            "tags": {**record["tags"], "duration_hint": 1 + int(source.lognormvariate(4, 1.2))},
        }
        for record in records
    ]


def _length(task: Any, records: list[Record]) -> int:
    found: int = next(r for r in records if r["pipeid"] == task.pipe_id)["tags"]["duration_hint"]
    return found


def _all_weights(dag: Any) -> dict[str, dict[str, float]]:
    """Return the weights of the DAG, and those that Airflow gives by default (``downstream``)."""
    behind: dict[str, set[str]] = {}
    for task in _last_first(dag):
        near = dag.task_dict[task].downstream_task_ids
        behind[task] = {*near, *(other for one in near for other in behind[one])}
    return {
        "this DAG's": {task.task_id: task.priority_weight for task in dag.tasks},
        "Airflow's default": {task: 1 + len(below) for task, below in behind.items()},
    }


def _last_first(dag: Any) -> list[str]:
    waiting = {task.task_id: len(task.downstream_task_ids) for task in dag.tasks}
    order = [task for task, count in waiting.items() if not count]
    for task in order:  # grows while it is walked
        for above in dag.task_dict[task].upstream_task_ids:
            waiting[above] -= 1
            if not waiting[above]:
                order.append(above)
    return order


def _ratio(dag: Any, lengths: dict[str, int], weights: dict[str, float], width: int) -> float:
    """Return the makespan of list scheduling by weight, as a multiple of the lower bound."""
    waiting = {task.task_id: len(task.upstream_task_ids) for task in dag.tasks}
    ready = [task for task, count in waiting.items() if not count]
    running: list[tuple[int, str]] = []
    now = 0
    while ready or running:
        ready.sort(key=lambda task: -weights[task])
        started, ready = ready[: width - len(running)], ready[width - len(running) :]
        running += [(now + lengths[task], task) for task in started]
        now = min(end for end, _ in running)
        ended = [task for end, task in running if end == now]
        running = [(end, task) for end, task in running if end > now]
        for task in ended:
            for below in sorted(dag.task_dict[task].downstream_task_ids):
                waiting[below] -= 1
                if not waiting[below]:
                    ready.append(below)
    return now / max(_longest_way(dag, lengths), sum(lengths.values()) / width)


def _longest_way(dag: Any, lengths: dict[str, int]) -> int:
    found: dict[str, int] = {}
    for task in _last_first(dag):
        below = [found[other] for other in dag.task_dict[task].downstream_task_ids]
        found[task] = lengths[task] + max(below, default=0)
    return max(found.values())


if __name__ == "__main__":
    main(*sys.argv[1:])
