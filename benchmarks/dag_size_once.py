"""One parse of a DAG file as the DAG processor does it, in a process of its own; prints JSON.

What the processor imports before it forks is not measured: what a DAG file imports of Airflow, and
what listeners import. What else the file needs is imported by every parse.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(dag_file: str) -> None:
    """Parse a DAG file and serialise its DAG."""
    folder = Path(dag_file).parent
    os.environ["AIRFLOW_HOME"] = str(folder.parent / "airflow_home")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    processor: Any = import_module("airflow.dag_processing.processor")
    import_module("airflow.dag_processing.manager")
    import structlog

    log = structlog.get_logger()
    listeners = import_module("airflow.listeners.listener").get_listener_manager()
    listeners.hook.on_starting(component=SimpleNamespace(job_type="DagProcessorJob"))
    processor._pre_import_airflow_modules(dag_file, log)
    request = processor.DagFileParseRequest(
        file=dag_file, bundle_path=folder, bundle_name="dags-folder", callback_requests=[]
    )
    wall, cpu = time.perf_counter(), time.process_time()
    found = processor._parse_file(request, log)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    (stored,) = found.serialized_dags
    data = stored.data
    fields: Counter[str] = Counter()
    for task in data["dag"]["tasks"]:
        for name, value in task["__var"].items():
            fields[name] += len(json.dumps({name: value}))
    for name in ("task_group", "dag_dependencies"):
        fields[f"DAG: {name}"] = len(json.dumps(data["dag"].get(name)))
    tasks = len(data["dag"]["tasks"])
    size = len(json.dumps(data))
    print(json.dumps({"tasks": tasks, "bytes": size, "wall": wall, "cpu": cpu, "fields": fields}))


if __name__ == "__main__":
    main(*sys.argv[1:])
