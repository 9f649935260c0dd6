"""A session for the flights sample, against one process outside of Airflow and empty tasks.

    session   the flights DAG with ``session: run``
    run       ``kindling-airflow run`` of the same definition: one process, one session
    empty     the same edges with tasks that return at once: Airflow's own cost

A session should take at most 1.3 times what the other two take together.
KINDLING_SESSION_ROUNDS sets the rounds (3).
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

from benchmarks.by_hand_start import PROFILES, ROOT
from benchmarks.overhead import FACTORY, seconds_of_run
from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.compiled_dag import write_compiled
from kindling_airflow.definitions.definition import Definition, manifest_beside
from kindling_airflow.definitions.project_manifests import project_manifest
from kindling_airflow.definitions.yaml_file import read_definition_file

__all__ = ["run"]

ROUNDS = int(os.environ.get("KINDLING_SESSION_ROUNDS", "3"))
KINDS = ("session", "run", "empty")
SLOTS, WORKERS = 2, 32
MOST = 1.3

EMPTY = '''\
"""The edges of the flights DAG with tasks that do nothing."""

import json
from pathlib import Path

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG

edges = json.loads((Path(__file__).parent / "edges.json").read_text())


def nothing():
    pass


with DAG("empty", schedule=None, max_active_tasks=3):
    tasks = {
        name: PythonOperator(task_id=name, python_callable=nothing, pool="flights", retries=0)
        for name in edges
    }
    for name, above in edges.items():
        tasks[name].set_upstream([tasks[each] for each in above])
'''


def run(console: Console) -> None:
    """Measure, and print the ratio."""
    warm_archive(PROFILES, console.print)
    with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
        seconds = _measure(Path(scratch), console)
    middle = {kind: statistics.median(found) for kind, found in seconds.items()}
    console.print(f"flights in a session: seconds of {ROUNDS} rounds ({platform.machine()})")
    for kind, found in seconds.items():
        runs = ", ".join(f"{value:.1f}" for value in found)
        console.print(f"  {kind:<8} median {middle[kind]:6.1f}   ({runs})")
    ratio = middle["session"] / (middle["run"] + middle["empty"])
    verdict = "met" if ratio <= MOST else "missed"
    console.print(f"  session / (run + empty): {ratio:.2f}; at most {MOST}: {verdict}")


def _measure(place: Path, console: Console) -> dict[str, list[float]]:
    dags = place / "dags"
    left_out = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    shutil.copytree(ROOT / "dags" / "flights", dags / "flights", ignore=left_out)
    subprocess.run(
        [sys.executable, "-m", "flights_pipeline.landing", str(place)],
        cwd=dags / "flights",
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for kind in ("session", "run"):
        (place / kind).mkdir()
        (place / kind / "landing").symlink_to(place / "landing")
    _write_dags(dags, place)
    airflow = LocalAirflow(
        place / "airflow",
        dags_folder=dags,
        warehouse=place / "session",
        profile=PROFILES,
        parallelism=WORKERS,
    )
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with airflow:
        airflow.api.create_pool("flights", SLOTS)
        for dag_id in ("session", "empty"):
            airflow.api.wait_for_dag(dag_id)
            airflow.api.unpause(dag_id)
        for round_ in range(ROUNDS):
            shift = round_ % len(KINDS)
            for kind in KINDS[shift:] + KINDS[:shift]:
                took = (
                    _in_one_process(place, airflow)
                    if kind == "run"
                    else seconds_of_run(airflow, kind, f"round-{round_}")
                )
                seconds[kind].append(took)
                console.print(f"  round {round_}: {kind:<8} {took:6.1f} s")
    return seconds


def _write_dags(dags: Path, place: Path) -> None:
    text = (ROOT / "dags" / "flights.kindling.yaml").read_text()
    text = text.replace("dag_id: flights", "dag_id: session")
    text = text.replace("pool: kindling_flights", "pool: flights")
    text = text.replace("retries: 1", "retries: 0")
    path = dags / "session.kindling.yaml"
    path.write_text(f"{text}session: run\nwarehouse: {place / 'session'}\n")
    read = read_definition_file(path)
    definition = Definition.from_read_file(read)
    write_compiled(manifest_beside(path), read, project_manifest(definition))
    tasks = compile_definition(Definition.from_file(path)).spec.tasks()
    (dags / "edges.json").write_text(json.dumps({t.pipe_id: list(t.upstream) for t in tasks}))
    (dags / "kindling_dags.py").write_text(FACTORY)
    (dags / "empty.py").write_text(EMPTY)


def _in_one_process(place: Path, airflow: LocalAirflow) -> float:
    started = time.monotonic()
    definition = str(place / "dags" / "session.kindling.yaml")
    options = ("--warehouse", str(place / "run"), "--workers", str(SLOTS))
    subprocess.run(
        ["kindling-airflow", "run", definition, *options],
        env=airflow.environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.monotonic() - started


if __name__ == "__main__":
    run(Console(width=120))
