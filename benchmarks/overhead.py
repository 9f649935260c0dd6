"""What a run costs beside the same work by hand, and what the start-up profile saves.

Three DAGs take turns on one real scheduler, in one pool of two slots:

    kindling   the flights DAG, with its compiled manifest and the start-up profile
    by hand    SparkSubmitOperators with the same edges; applications that read, call the same
               functions, write, and check the same in one query; the same profile
    slow       the flights DAG without the profile

Measured is the wall clock of each run. The applications by hand do less: they write in place, and
report nothing.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.by_hand_start import PROFILES, ROOT, same_start
from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.definitions.compile import Compiled, compile_definition
from kindling_airflow.definitions.compiled_dag import write_compiled
from kindling_airflow.definitions.definition import Definition, manifest_beside
from kindling_airflow.definitions.project_manifests import project_manifest
from kindling_airflow.definitions.yaml_file import read_definition_file
from kindling_airflow.deployment.start_profile import MODE_PROPERTY, ProfileMode

__all__ = ["run"]

ROUNDS = int(os.environ.get("KINDLING_OVERHEAD_ROUNDS", "3"))
MOST_OVERHEAD = 1.05
MOST_WITH_PROFILE = 0.6
NAMES = ("kindling", "by_hand", "slow")

FACTORY = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""
BY_HAND = '''\
"""The flights DAG without this package."""

import json
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG

written = json.loads((Path(__file__).parent / "by_hand.json").read_text())
with DAG("by_hand", schedule=None, max_active_tasks=2) as dag:
    tasks = {
        job["name"]: SparkSubmitOperator(
            task_id=job["name"],
            application=written["application"],
            name=job["name"],
            application_args=[json.dumps(job)],
            conf={"spark.sql.session.timeZone": "UTC"},
            env_vars=written["env_vars"],
            pool="overhead",
            retries=0,
        )
        for job in written["jobs"]
    }
    for job in written["jobs"]:
        tasks[job["name"]].set_upstream([tasks[name] for name in job["after"]])
'''


def run(console: Console) -> None:
    """Measure, and print the ratios."""
    warm_archive(PROFILES, console.print)
    with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
        seconds = _measure(Path(scratch), console)
    console.print(f"overhead: seconds of {ROUNDS} runs of the flights DAG ({platform.machine()})")
    for name, found in seconds.items():
        runs = ", ".join(f"{value:.1f}" for value in found)
        middle, least = statistics.median(found), min(found)
        console.print(f"  {name:<9} median {middle:6.1f}  least {least:6.1f}   ({runs})")
    for text, one, other, most in (
        ("against the DAG by hand", "kindling", "by_hand", MOST_OVERHEAD),
        ("with the profile against without", "kindling", "slow", MOST_WITH_PROFILE),
    ):
        ratio = statistics.median(seconds[one]) / statistics.median(seconds[other])
        least = min(seconds[one]) / min(seconds[other])
        verdict = "met" if ratio <= most else "missed"
        console.print(f"  {text}: {ratio:.3f} (least: {least:.3f}); at most {most}: {verdict}")


def _measure(place: Path, console: Console) -> dict[str, list[float]]:
    dags, project = place / "dags", place / "dags" / "flights"
    left_out = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    shutil.copytree(ROOT / "dags" / "flights", project, ignore=left_out)
    subprocess.run(
        [sys.executable, "-m", "flights_pipeline.landing", str(place)],
        cwd=project,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for name in NAMES:
        (place / name).mkdir()
        (place / name / "landing").symlink_to(place / "landing")
    airflow = LocalAirflow(
        place / "airflow", dags_folder=dags, warehouse=place / "kindling", profile=PROFILES
    )
    _write_dags(dags, place, airflow)
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    with airflow:
        airflow.api.create_pool("overhead", 2)
        for name in NAMES:
            airflow.api.wait_for_dag(name)
            airflow.api.unpause(name)
        for round_ in range(ROUNDS):
            for name in NAMES[round_ % 3 :] + NAMES[: round_ % 3]:  # nobody is always the first
                seconds[name].append(seconds_of_run(airflow, name, f"round-{round_}"))
                console.print(f"  round {round_}: {name:<9} {seconds[name][-1]:6.1f} s")
    return seconds


def _write_dags(dags: Path, place: Path, airflow: LocalAirflow) -> None:
    text = (ROOT / "dags" / "flights.kindling.yaml").read_text()
    for name, mode in (("kindling", ProfileMode.LIGHT), ("slow", ProfileMode.OFF)):
        changed = text.replace("dag_id: flights", f"dag_id: {name}")
        changed = changed.replace("pool: kindling_flights", "pool: overhead")
        changed = changed.replace("retries: 1", "retries: 0")
        changed = changed.replace("  conf:\n", f'  conf:\n    {MODE_PROPERTY}: "{mode.value}"\n')
        path = dags / f"{name}.kindling.yaml"
        path.write_text(f"{changed}warehouse: {place / name}\n")
        read = read_definition_file(path)
        manifest = project_manifest(Definition.from_read_file(read))
        write_compiled(manifest_beside(path), read, manifest)
    (dags / "kindling_dags.py").write_text(FACTORY)
    compiled = compile_definition(Definition.from_file(dags / "kindling.kindling.yaml"))
    written = {
        "application": str(Path(__file__).with_name("by_hand_application.py")),
        "env_vars": same_start(airflow.environment),
        "jobs": _jobs(compiled, place / "by_hand"),
    }
    (dags / "by_hand.json").write_text(json.dumps(written))
    (dags / "by_hand.py").write_text(BY_HAND)


def _jobs(compiled: Compiled, warehouse: Path) -> list[dict[str, Any]]:
    document = compiled.base.to_json()
    entities = {entity["entityid"]: entity for entity in document["entities"]}
    pipes = {pipe["pipeid"]: pipe for pipe in document["pipes"]}
    jobs = []
    for task in compiled.spec.tasks():
        pipe = pipes[task.pipe_id]
        output = pipe["output_entity_id"]
        jobs.append(
            {
                "name": task.pipe_id,
                "after": list(task.upstream),
                "project": str(compiled.definition.project_root),
                "function": pipe.get("function"),
                "sql": pipe.get("sql"),
                "inputs": {
                    name.replace(".", "_"): _source(name, entities.get(name, {}), warehouse)
                    for name in pipe["input_entity_ids"]
                },
                "output": str(warehouse / output),
                "partitions": list(entities.get(output, {}).get("partition_columns", ())),
                "checks": [_check(item) for item in pipe.get("expectations", ())],
            }
        )
    return jobs


def _check(expectation: dict[str, Any]) -> str:
    """Return what somebody would write by hand: 0 if all is well."""
    columns = expectation.get("columns", ())
    if expectation["check"] == "row_count":
        return f"CAST(count(*) < {expectation['minimum']} AS INT)"
    if expectation["check"] == "unique":
        return f"count(*) - count(DISTINCT {', '.join(columns)})"
    conditions = {
        "not_null": " AND ".join(f"{column} IS NOT NULL" for column in columns),
        "accepted": f"{columns[0]} IN {tuple(expectation['values'])}"
        if "values" in expectation
        else "",
        "in_range": f"{columns[0]} BETWEEN {expectation.get('minimum')} AND "
        f"{expectation.get('maximum')}"
        if columns
        else "",
        "satisfies": expectation.get("predicate", ""),
    }
    counted = f"count_if(NOT ({conditions[expectation['check']]}))"
    return counted if expectation["on_violation"] == "fail" else f"0 * {counted}"


def _source(name: str, entity: dict[str, Any], warehouse: Path) -> dict[str, Any]:
    tags = entity.get("tags", {})
    if tags.get("provider_type") != "csv":
        return {"format": "parquet", "path": str(warehouse / name), "schema": None, "options": {}}
    return {
        "format": "csv",
        "path": str(warehouse / tags["provider.path"]),
        "schema": entity["schema"],
        "options": {"header": "true", "nullValue": "NA", "mode": "FAILFAST"},
    }


def seconds_of_run(airflow: LocalAirflow, dag_id: str, run_id: str, limit: float = 1800.0) -> float:
    """Run a DAG and return its wall clock; the tables of its earlier runs are there."""
    state = airflow.api.wait_for_run(dag_id, airflow.api.trigger(dag_id, run_id), limit)
    if state != "success":
        states = {i["task_id"]: i["state"] for i in airflow.api.task_instances(dag_id, run_id)}
        raise SystemExit(f"run {run_id} of {dag_id} ended as {state}: {states}")
    found = airflow.api.run(dag_id, run_id)
    start, end = (datetime.fromisoformat(found[key]) for key in ("start_date", "end_date"))
    return (end - start).total_seconds()


if __name__ == "__main__":
    run(Console(width=120))
