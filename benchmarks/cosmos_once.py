"""The same graph as a dbt project's manifest, made a DAG by Astronomer Cosmos; prints JSON.

Runs under an environment that has Cosmos and this machine's Airflow; see ``benchmarks.compiling``.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

_PROFILES = (
    "bench: {target: dev, outputs: {dev: {type: spark, host: x, schema: s, method: thrift}}}"
)


def dbt_manifest(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a graph as a dbt manifest: each pipe a model, its data edges between models alone."""
    writers = {r["output_entity_id"]: r["pipeid"] for r in records}

    def model(record: dict[str, Any]) -> dict[str, Any]:
        name = record["pipeid"]
        read = [writers[e] for e in record["input_entity_ids"] if e in writers]
        return {
            "resource_type": "model",
            "unique_id": f"model.bench.{name}",
            "package_name": "bench",
            "name": name,
            "original_file_path": f"models/{name}.sql",
            "fqn": ["bench", name],
            "tags": [],
            "config": {"materialized": "table"},
            "depends_on": {"nodes": [f"model.bench.{p}" for p in read if p != name]},
        }

    nodes = {f"model.bench.{r['pipeid']}": model(r) for r in records}
    return {"metadata": {"project_name": "bench"}, "nodes": nodes, "sources": {}, "exposures": {}}


def main(graph: str, folder: str, rounds: str) -> None:
    """Compile the graph in a file with Cosmos."""
    project = Path(folder) / "dbt"
    (project / "models").mkdir(parents=True, exist_ok=True)
    (project / "dbt_project.yml").write_text("name: bench\nversion: '1'\nprofile: bench\n")
    (project / "profiles.yml").write_text(_PROFILES)
    records = json.loads(Path(graph).read_text())
    (project / "manifest.json").write_text(json.dumps(dbt_manifest(records)))
    os.environ["AIRFLOW_HOME"] = str(Path(folder) / "airflow_home")
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"

    # What the process that parses DAG files has imported before.
    import_module("airflow.dag_processing.dagbag")
    begin = time.process_time()
    import cosmos
    from cosmos import ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
    from cosmos.airflow.dag import DbtDag
    from cosmos.constants import ExecutionMode, LoadMode, TestBehavior

    def compiled() -> Any:
        return DbtDag(
            dag_id="bench",
            schedule=None,
            project_config=ProjectConfig(
                manifest_path=project / "manifest.json", project_name="bench"
            ),
            profile_config=ProfileConfig(
                "bench", "dev", profiles_yml_filepath=project / "profiles.yml"
            ),
            execution_config=ExecutionConfig(
                execution_mode=ExecutionMode.LOCAL,
                dbt_project_path=project,
                dbt_executable_path=sys.executable,
            ),
            render_config=RenderConfig(
                load_method=LoadMode.DBT_MANIFEST, test_behavior=TestBehavior.NONE
            ),
            operator_args={"install_deps": False},
        )

    compiled()
    first, seconds = time.process_time() - begin, []
    for _ in range(int(rounds)):
        gc.collect()
        start = time.process_time()
        dag = compiled()
        seconds.append(time.process_time() - start)
    edges = sum(len(task.upstream_task_ids) for task in dag.tasks)
    found = {"version": cosmos.__version__, "tasks": len(dag.tasks), "edges": edges}
    print(json.dumps({**found, "first": first, "best": min(seconds)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
