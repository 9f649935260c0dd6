"""The process of one task, as Airflow runs it: its DAG is built, its pipe executed, its end told.

    python -m tests.system.yarn_worker '<JSON>'

A SIGTERM calls the operator's ``on_kill``, as in Airflow. The last line is the end as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Run one try of the task ``orders``; return how it ended."""
    from kindling_airflow.dag_factory import kindling_dag

    dag = kindling_dag(Path(asked["dags"]), **asked["definition"])
    task: Any = dag.get_task("orders")
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    if asked.get("deaf"):  # a resource manager that is asked to kill, and does not
        from kindling_airflow.operators.driver.yarn import ResourceManager

        ResourceManager.kill = lambda *_: None  # type: ignore[method-assign]
    pushed: dict[str, Any] = {}
    number = asked["try_number"]
    ti = SimpleNamespace(
        dag_id="shop",
        run_id=asked["run_id"],
        task_id="orders",
        try_number=number,
        max_tries=asked["max_tries"],
        xcom_push=pushed.__setitem__,
        stats_tags={},
        get_task_states=lambda **_: {asked["run_id"]: {"orders": "running"}},
    )
    events = defaultdict(lambda: SimpleNamespace(extra={}))
    context: Any = {"ti": ti, "dag_run": SimpleNamespace(), "outlet_events": events}
    try:
        return {"report": task.execute(context), "pushed": sorted(pushed)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(f"\n{json.dumps(main(json.loads(sys.argv[1])))}", flush=True)
    os._exit(0)
