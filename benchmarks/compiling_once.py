"""One graph, from its manifest to a complete DAG, beside the same operators built by hand.

In a process of its own, because Airflow wants to know its home before it is imported; prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.dag_folder import write_dag_folder
from benchmarks.graphs import real_graph
from benchmarks.timing import paired


def main(graph: str, rounds: str) -> None:
    """Measure one graph."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AIRFLOW_HOME"] = str(Path(folder) / "airflow_home")
        os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
        path = write_dag_folder(Path(folder) / "dags", real_graph(graph))
        # What the process that parses DAG files has imported before.
        import_module("airflow.dag_processing.dagbag")
        dag_file = path.with_name("dags.py")
        start = time.process_time()
        from kindling_airflow.dag_factory import load_dags

        load_dags(dag_file)
        first = time.process_time() - start
        from kindling_airflow.common.gc_pause import collector_paused

        by_hand = _by_hand(load_dags(dag_file)["bench"])
        found = paired(
            [lambda: load_dags(dag_file), by_hand, collector_paused()(by_hand)], int(rounds)
        )
        ours, hand, rested = (timed.best for timed in found)
        tasks = len(load_dags(dag_file)["bench"].task_dict)
        made = by_hand()
        assert len(made.task_dict) == tasks
    print(
        json.dumps(
            {
                "tasks": tasks,
                "first": first,
                "ours": ours,
                "by_hand": hand,
                "by_hand_rested": rested,
            }
        )
    )


class _Assets(dict[str, Any]):
    def __missing__(self, uri: str) -> Any:
        from airflow.sdk import Asset

        self[uri] = Asset(name=uri, uri=uri)
        return self[uri]


def _by_hand(dag: Any) -> Callable[[], Any]:
    """Return a function that makes a DAG of bare operators with the tasks and edges of a DAG."""
    from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
    from airflow.sdk import DAG, TaskGroup

    groups = {
        group.group_id: (group.tooltip, list(group.children))
        for group in dag.task_group.children.values()
    }
    arguments = {
        task.task_id: {
            "task_id": task.task_id,
            "doc": task.doc,
            "retries": task.retries,
            "retry_delay": timedelta(seconds=300),
            "pool": task.pool,
            "pool_slots": task.pool_slots,
            "priority_weight": task.priority_weight,
            "weight_rule": "absolute",
            "trigger_rule": task.trigger_rule,
            "conf": dict(task.conf or {}),
            "application": "main.py",
            "name": task.task_id,
        }
        for task in dag.task_dict.values()
    }
    assets = {
        task.task_id: ([a.uri for a in task.inlets], [a.uri for a in task.outlets])
        for task in dag.task_dict.values()
    }
    upstream = {task.task_id: sorted(task.upstream_task_ids) for task in dag.task_dict.values()}

    def build() -> Any:
        with DAG(dag_id="by_hand", schedule=None, max_active_tasks=16) as made:
            operators, known = {}, _Assets()
            for group_id, (tooltip, members) in groups.items():
                with TaskGroup(group_id, prefix_group_id=False, tooltip=tooltip):
                    for task_id in members:
                        read, written = assets[task_id]
                        operators[task_id] = SparkSubmitOperator(
                            **arguments[task_id],
                            inlets=[known[uri] for uri in read],
                            outlets=[known[uri] for uri in written],
                        )
            for task_id, names in upstream.items():
                if names:
                    operators[task_id].set_upstream([operators[name] for name in names])
        return made

    return build


if __name__ == "__main__":
    main(*sys.argv[1:])
