"""What a session for a run saves: 30 small pipes on a real scheduler, and where the rest goes.

Five pipes on each of six levels, a few thousand rows each, in a pool of two. In turn:

    session   ``session: run``, on ``local[2]``: as many cores as two drivers have
    drivers   a driver for each pipe, with the start-up profile, on ``local[1]``
    stock     SparkSubmitOperators with the same edges, as the provider has them
    empty     the same edges with tasks that return at once: Airflow's own cost
    by hand   one application that runs the same 30 functions one by one, outside of Airflow

Of each run on Airflow it prints where the seconds went. Airflow has as many workers as by default
(32): a worker of the local executor stays busy for up to five seconds after its task has ended.

KINDLING_SESSION_ROUNDS sets the rounds (3); KINDLING_SESSION_ONLY names the kinds to run;
KINDLING_SESSION_IDLE sets how long the scheduler sleeps when it has nothing to do (Airflow's
default: 1 s), which every task of every kind waits for.
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
import time
from pathlib import Path

from rich.console import Console

from benchmarks.by_hand_start import PROFILES, same_start
from benchmarks.overhead import seconds_of_run
from benchmarks.run_breakdown import run_breakdown
from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.definitions.compiled_dag import write_compiled
from kindling_airflow.definitions.definition import Definition, manifest_beside
from kindling_airflow.definitions.project_manifests import project_manifest
from kindling_airflow.definitions.yaml_file import read_definition_file

__all__ = ["run"]

ROUNDS = int(os.environ.get("KINDLING_SESSION_ROUNDS", "3"))
IDLE = os.environ.get("KINDLING_SESSION_IDLE", "1")
KINDS = ("session", "drivers", "stock", "empty", "by hand")
LEVELS, WIDTH = 6, 5
SLOTS = 2
WORKERS = 32
LEAST_AGAINST_DRIVERS, LEAST_AGAINST_STOCK = 4.0, 7.0

PIPES = '''\
"""Thirty small pipes on six levels; each level reads the one before."""

from kindling_airflow import DataPipes

LEVELS, WIDTH = 6, 5


def made(level, number):
    above = [f"t{level - 1}_{number}", f"t{level - 1}_{(number + 1) % WIDTH}"] if level else []

    def work(**frames):
        from pyspark.sql import SparkSession, functions as F

        if not frames:
            spark = SparkSession.builder.getOrCreate()
            return spark.range(5000).select("id", (F.col("id") * (number + 3) % 97).alias("n"))
        one, other = frames.values()
        sums = other.groupBy("id").agg(F.sum("n").alias("m"))
        return one.join(sums, "id").select("id", ((F.col("n") + F.col("m")) % 97).alias("n"))

    arguments = ", ".join(above)
    named = ", ".join(f"{name}={name}" for name in above)
    scope = {"work": work}
    exec(f"def pipe({arguments}): return work({named})", scope)
    function = scope["pipe"]
    function.__name__ = function.__qualname__ = f"t{level}_{number}"
    function.__module__ = __name__
    globals()[function.__name__] = function
    DataPipes.pipe(function.__name__, input_entity_ids=above, output_entity_id=function.__name__)(
        function
    )


for level in range(LEVELS):
    for number in range(WIDTH):
        made(level, number)
'''
OTHERS = '''\
"""The same edges: drivers as the provider has them, and tasks that do nothing."""

import json
from pathlib import Path

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

said = json.loads((Path(__file__).parent / "others.json").read_text())


def nothing():
    pass


def edges(tasks):
    for name, job in said["jobs"].items():
        tasks[name].set_upstream([tasks[above] for above in job["after"]])


with DAG("stock", schedule=None, max_active_tasks=4) as stock:
    edges({
        name: SparkSubmitOperator(
            task_id=name, name=name, application=said["application"], pool="small", retries=0,
            application_args=[json.dumps(job)], env_vars=said["env_vars"],
        )
        for name, job in said["jobs"].items()
    })
with DAG("empty", schedule=None, max_active_tasks=4) as empty:
    edges({
        name: PythonOperator(task_id=name, python_callable=nothing, pool="small", retries=0)
        for name in said["jobs"]
    })
'''
FACTORY = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""
ALL_STEPS = """\
import importlib, json, sys
from pyspark.sql import SparkSession
jobs = json.loads(open(sys.argv[1]).read())
spark = SparkSession.builder.appName("by hand").getOrCreate()
for name, job in jobs.items():
    sys.path.insert(0, job["project"])
    frames = {k: spark.read.parquet(s["path"]) for k, s in job["inputs"].items()}
    function = getattr(importlib.import_module("small"), name)
    function(**frames).write.mode("overwrite").parquet(job["output"])
spark.stop()
"""


def run(console: Console) -> None:
    """Measure, and print the ratios."""
    warm_archive(PROFILES, console.print)
    kinds = tuple(os.environ.get("KINDLING_SESSION_ONLY", ",".join(KINDS)).split(","))
    with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
        seconds = _measure(Path(scratch), kinds, console)
    console.print(
        f"shared session: seconds for {LEVELS * WIDTH} pipes, {ROUNDS} rounds "
        f"({platform.machine()}, {os.cpu_count()} cores)"
    )
    middle = {kind: statistics.median(found) for kind, found in seconds.items()}
    for kind, found in seconds.items():
        runs = ", ".join(f"{value:.1f}" for value in found)
        console.print(f"  {kind:<8} median {middle[kind]:6.1f}   ({runs})")
    for other, least in (("drivers", LEAST_AGAINST_DRIVERS), ("stock", LEAST_AGAINST_STOCK)):
        if other in middle and "session" in middle:
            ratio = middle[other] / middle["session"]
            verdict = "met" if ratio >= least else "missed"
            console.print(f"  {other} / session: {ratio:.2f}; at least {least}: {verdict}")
    if {"empty", "session"} <= middle.keys():
        share = middle["empty"] / middle["session"]
        console.print(f"  of a session's run, Airflow's own tasks alone would take {share:.0%}")


def _measure(place: Path, kinds: tuple[str, ...], console: Console) -> dict[str, list[float]]:
    dags = place / "dags"
    airflow = LocalAirflow(
        place / "airflow",
        dags_folder=dags,
        warehouse=place / "session",
        profile=PROFILES,
        parallelism=WORKERS,
        environment={
            "AIRFLOW_CONN_SESSION": json.dumps({"conn_type": "spark", "host": f"local[{SLOTS}]"}),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": IDLE,
        },
    )
    _write_dags(dags, place)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    with airflow:
        airflow.api.create_pool("small", SLOTS)
        for kind in kinds:
            if kind != "by hand":
                airflow.api.wait_for_dag(kind)
                airflow.api.unpause(kind)
        for round_ in range(ROUNDS):
            shift = round_ % len(kinds)
            for kind in kinds[shift:] + kinds[:shift]:
                took = (
                    _by_hand(place, airflow)
                    if kind == "by hand"
                    else seconds_of_run(airflow, kind, f"round-{round_}", 3600.0)
                )
                seconds[kind].append(took)
                console.print(f"  round {round_}: {kind:<8} {took:6.1f} s")
                if kind != "by hand":
                    _print_parts(airflow, kind, f"round-{round_}", console)
    return seconds


def _print_parts(airflow: LocalAirflow, dag_id: str, run_id: str, console: Console) -> None:
    api = airflow.api
    pipes = [
        i for i in api.task_instances(dag_id, run_id) if not i["task_id"].startswith("kindling_")
    ]
    reports = {
        i["task_id"]: api.xcom(dag_id, run_id, i["task_id"], "kindling_report") for i in pipes
    }
    drivers = {task: float(r["duration_seconds"]) for task, r in reports.items() if r is not None}
    parts = run_breakdown(api.run(dag_id, run_id), pipes, drivers, SLOTS)
    console.print("    " + "; ".join(f"{name} {value:.1f}" for name, value in parts.items()))


def _write_dags(dags: Path, place: Path) -> None:
    project = dags / "project"
    project.mkdir(parents=True)
    (project / "small.py").write_text(PIPES)
    for dag_id, session, connection in (
        ("session", "run", "session"),
        ("drivers", "pipe", "spark_default"),
    ):
        path = dags / f"{dag_id}.kindling.yaml"
        path.write_text(
            f"dag_id: {dag_id}\nproject: {{path: project, modules: [small]}}\npool: small\n"
            f"width: 2\nsession: {session}\nwarehouse: {place / dag_id}\n"
            f"spark: {{conn_id: {connection}}}\n"
        )
        read = read_definition_file(path)
        manifest = project_manifest(Definition.from_read_file(read))
        write_compiled(manifest_beside(path), read, manifest)
    (dags / "kindling_dags.py").write_text(FACTORY)
    (dags / "others.json").write_text(
        json.dumps(
            {
                "application": str(Path(__file__).with_name("by_hand_application.py")),
                "env_vars": {"PYSPARK_PYTHON": sys.executable},
                "jobs": _jobs(project, place / "stock"),
            }
        )
    )
    (dags / "others.py").write_text(OTHERS)


def _jobs(project: Path, warehouse: Path) -> dict[str, dict[str, object]]:
    jobs: dict[str, dict[str, object]] = {}
    for level in range(LEVELS):
        for number in range(WIDTH):
            name = f"t{level}_{number}"
            pair = (number, (number + 1) % WIDTH)
            above = [f"t{level - 1}_{n}" for n in pair] if level else []
            jobs[name] = {
                "name": name,
                "after": above,
                "project": str(project),
                "function": {"module": "small", "qualname": name},
                "sql": None,
                "inputs": {
                    each: {
                        "format": "parquet",
                        "path": str(warehouse / each),
                        "schema": None,
                        "options": {},
                    }
                    for each in above
                },
                "output": str(warehouse / name),
                "partitions": [],
                "checks": [],
            }
    return jobs


def _by_hand(place: Path, airflow: LocalAirflow) -> float:
    warehouse = place / "by_hand"
    shutil.rmtree(warehouse, ignore_errors=True)
    jobs, program = place / "jobs.json", place / "all_steps.py"
    jobs.write_text(json.dumps(_jobs(place / "dags" / "project", warehouse)))
    program.write_text(ALL_STEPS)
    started = time.monotonic()
    subprocess.run(
        ["spark-submit", "--master", "local[1]", str(program), str(jobs)],
        env={**airflow.environment, **same_start(airflow.environment)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - started


if __name__ == "__main__":
    run(Console(width=120))
