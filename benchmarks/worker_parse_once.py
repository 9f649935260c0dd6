"""One parse of a DAG file as a worker does it, in a process of its own: prints a JSON document."""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path


def main(folder: str, dag_id: str, task_id: str) -> None:
    """Parse the DAG file of a folder for one task, or in whole where no task is named."""
    os.environ["AIRFLOW_HOME"] = str(Path(folder).parent / "airflow_home")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
    if task_id:
        os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = dag_id
        os.environ["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = task_id
    # What a worker's process has imported before it comes to the file.
    import_module("airflow.sdk.execution_time.task_runner")
    from airflow.dag_processing.dagbag import BundleDagBag

    start = time.process_time()
    import_module("kindling_airflow.dag_factory.factory")
    if not task_id:  # a whole DAG is planned
        import_module("kindling_airflow.definitions.compile")
        import_module("kindling_airflow.translator.translation")
    imported = time.process_time()
    bag = BundleDagBag(
        dag_folder=str(Path(folder) / "dags.py"),
        safe_mode=False,
        load_op_links=False,
        bundle_path=Path(folder),
        bundle_name="dags-folder",
    )
    end = time.process_time()
    tasks = len(bag.dags[dag_id].task_dict)
    found = {"tasks": tasks, "all": (end - start) * 1000, "own": (end - imported) * 1000}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
