"""How long it takes until all streams of a plan are ready, beside the same queries by hand.

Four file streams in three levels, sinks first:

    kindling   a run of the DAG, from its trigger until the source is ready
    by hand    the same queries, each started by ``spark-submit`` as soon as those before it have
               said that they are ready; the same start-up profile

What Airflow takes of it is told apart, for each generation: *scheduling*, from the trigger, or from
the readiness of the generation before, to the start of the tasks; and *tasks*, from there until
they call ``spark-submit``, which Airflow takes for any task (a process, and the DAG file parsed).
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.by_hand_start import PROFILES, ROOT, same_start
from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.warming import warm_archive

__all__ = ["run"]

DAGS = ROOT / "tests" / "system" / "stream_dags"
ROUNDS = int(os.environ.get("KINDLING_STARTUP_ROUNDS", "6"))
MOST = 1.2
SCHEMA = "number BIGINT, text STRING"
GENERATIONS = (("count", "check"), ("clean",), ("take",))
READS = {"count": "cleaned", "check": "cleaned", "clean": "taken", "take": "landing"}
WRITES = {"count": "counted", "check": "checked", "clean": "cleaned", "take": "taken"}
_WAIT_SECONDS = 600.0


def run(console: Console) -> None:
    """Measure, and print the ratio."""
    warm_archive(PROFILES, console.print)
    whole, scheduling, starting, by_hand = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
        place = Path(scratch)
        shutil.copytree(DAGS, place / "dags", ignore=shutil.ignore_patterns("__pycache__"))
        airflow = LocalAirflow(
            place / "airflow",
            dags_folder=place / "dags",
            warehouse=place / "warehouse",
            profile=PROFILES,
            parallelism=12,
        )
        with airflow:
            airflow.api.wait_for_dag("records")
            airflow.api.unpause("records")
            for round_ in range(ROUNDS):
                took, scheduled, started = _by_airflow(airflow, f"round-{round_}")
                whole.append(took)
                scheduling.append(scheduled)
                starting.append(started)
                # Beside the same idle Airflow, which takes its share of a small machine.
                by_hand.append(_by_hand(place / f"hand-{round_}", airflow.environment))
                console.print(
                    f"  round {round_}: {took:.1f} s, of which scheduling {scheduled:.1f} s and "
                    f"tasks {started:.1f} s; by hand {by_hand[-1]:.1f} s"
                )
    console.print(f"stream_startup: seconds until all are ready ({platform.machine()})")
    for name, found in (
        ("kindling", whole),
        ("scheduling", scheduling),
        ("tasks", starting),
        ("by hand", by_hand),
    ):
        runs = ", ".join(f"{value:.1f}" for value in found)
        console.print(f"  {name:<10} median {statistics.median(found):6.1f}   ({runs})")
    without = [took - latency for took, latency in zip(whole, scheduling, strict=True)]
    drivers = [took - started for took, started in zip(without, starting, strict=True)]
    for text, own in (("scheduling", without), ("scheduling and tasks", drivers)):
        ratio = statistics.median(own) / statistics.median(by_hand)
        verdict = "met" if ratio <= MOST else "missed"
        console.print(f"  without {text}, against by hand: {ratio:.3f}; at most {MOST}: {verdict}")


def _by_airflow(airflow: LocalAirflow, run_id: str) -> tuple[float, float, float]:
    """Run the DAG until all is ready; return the seconds, those of scheduling, and of tasks."""
    began = time.time()
    airflow.api.trigger("records", run_id)
    ready: dict[str, float] = {}
    for name in READS:
        while (said := airflow.api.xcom("records", run_id, name, "kindling_progress")) is None or (
            said["state"] == "starting"
        ):
            if time.time() - began > _WAIT_SECONDS:
                raise SystemExit(f"{name!r} does not get ready")
            time.sleep(0.2)
        ready[name] = _seconds(airflow.api.xcom("records", run_id, name, "kindling_ready"))
    instances = {i["task_id"]: i for i in airflow.api.task_instances("records", run_id)}
    scheduling, starting, before = 0.0, 0.0, began
    for generation in GENERATIONS:
        last = max(generation, key=ready.__getitem__)
        start = _seconds(instances[last]["start_date"])
        scheduling += start - before
        starting += _submitted_at(airflow, run_id, last) - start
        before = ready[last]
    stopped = airflow.run("kindling", "stop", "records", "--restart")
    if stopped.returncode:
        raise SystemExit(stopped.stdout + stopped.stderr)
    return before - began, scheduling, starting


def _submitted_at(airflow: LocalAirflow, run_id: str, task_id: str) -> float:
    """Return when a task called spark-submit: its log knows."""
    folder = airflow.home / "logs" / "dag_id=records" / f"run_id={run_id}" / f"task_id={task_id}"
    log = max(folder.glob("attempt=*.log"))
    for line in log.read_text("utf-8").splitlines():
        record = json.loads(line)
        if str(record["event"]).startswith("Spark-Submit cmd"):
            return _seconds(record["timestamp"])
    raise SystemExit(f"{task_id!r} did not call spark-submit: {log}")


def _by_hand(place: Path, environment: Mapping[str, str]) -> float:
    """Start the queries, each generation when the one before is ready; return the seconds."""
    variables = {**environment, **same_start(environment)}
    began = time.monotonic()
    started: list[subprocess.Popen[str]] = []
    try:
        for generation in GENERATIONS:
            ready = []
            for name in generation:
                process = _submitted(_job(name, place), variables)
                started.append(process)
                said = threading.Event()
                threading.Thread(target=_read, args=(process, said), daemon=True).start()
                ready.append(said)
            for said in ready:
                if not said.wait(_WAIT_SECONDS):
                    raise SystemExit(f"{generation} by hand do not get ready")
        return time.monotonic() - began
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
        for process in started:
            process.wait()


def _job(name: str, place: Path) -> dict[str, Any]:
    return {
        "name": name,
        "format": "json" if name == "take" else "parquet",
        "schema": SCHEMA,
        "read": str(place / READS[name]),
        "write": str(place / WRITES[name]),
        "checkpoint": str(place / "checkpoints" / name),
    }


def _submitted(job: dict[str, Any], variables: dict[str, str]) -> subprocess.Popen[str]:
    application = str(Path(__file__).with_name("stream_by_hand.py"))
    return subprocess.Popen(
        ["spark-submit", "--master", "local[1]", application, json.dumps(job)],
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _read(process: subprocess.Popen[str], ready: threading.Event) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("READY"):
            ready.set()


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    run(Console(width=120))
