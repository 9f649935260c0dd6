"""Two heavy pipes in one session against two drivers, with the same cores in all.

    session   ``session: run`` on ``local[2]``
    drivers   a driver for each pipe on ``local[1]``, at the same time

A session should take at most 1.1 times as long. KINDLING_SESSION_ROUNDS sets the rounds (3),
KINDLING_HEAVY_ROWS the rows of each pipe, in millions.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.by_hand_start import PROFILES
from benchmarks.overhead import FACTORY, seconds_of_run
from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.warming import warm_archive

__all__ = ["run"]

ROUNDS = int(os.environ.get("KINDLING_SESSION_ROUNDS", "3"))
MILLIONS = int(os.environ.get("KINDLING_HEAVY_ROWS", "1500"))
KINDS = {"session": "run", "drivers": "pipe"}
CORES = 2
MOST = 1.1

PIPES = f'''\
"""Two pipes that compute."""

from kindling_airflow import DataPipes


def heavy(name):
    @DataPipes.pipe(name, input_entity_ids=[], output_entity_id=name)
    def work(run):
        rows = run.spark.range(0, {MILLIONS} * 10**6, 1, 8)
        return rows.selectExpr("sum(hash(id, id * 3) % 1000) AS total")


heavy("one")
heavy("other")
'''


def run(console: Console) -> None:
    """Measure, and print the ratio."""
    warm_archive(PROFILES, console.print)
    with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
        seconds = _measure(Path(scratch), console)
    console.print(f"two heavy pipes: seconds of {ROUNDS} rounds ({platform.machine()})")
    for kind, found in seconds.items():
        runs = ", ".join(f"{value:.1f}" for value in found)
        console.print(f"  {kind:<8} median {statistics.median(found):6.1f}   ({runs})")
    ratio = statistics.median(seconds["session"]) / statistics.median(seconds["drivers"])
    verdict = "met" if ratio <= MOST else "missed"
    console.print(f"  session / drivers: {ratio:.2f}; at most {MOST}: {verdict}")


def _measure(place: Path, console: Console) -> dict[str, list[float]]:
    dags = place / "dags"
    (dags / "project").mkdir(parents=True)
    (dags / "project" / "heavy.py").write_text(PIPES)
    (dags / "kindling_dags.py").write_text(FACTORY)
    for kind, session in KINDS.items():
        (dags / f"{kind}.kindling.yaml").write_text(
            f"dag_id: {kind}\nproject: {{path: project, modules: [heavy]}}\npool: heavy\n"
            f"width: 2\nsession: {session}\nwarehouse: {place / kind}\n"
            f"spark: {{conn_id: {kind}}}\n"
        )
    cores = {"session": CORES, "drivers": CORES // 2}
    airflow = LocalAirflow(
        place / "airflow",
        dags_folder=dags,
        warehouse=place / "session",
        profile=PROFILES,
        parallelism=8,
        environment={
            f"AIRFLOW_CONN_{kind.upper()}": json.dumps(
                {"conn_type": "spark", "host": f"local[{number}]"}
            )
            for kind, number in cores.items()
        },
    )
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with airflow:
        airflow.api.create_pool("heavy", CORES)
        for kind in KINDS:
            airflow.api.wait_for_dag(kind)
            airflow.api.unpause(kind)
        for round_ in range(ROUNDS):
            for kind in tuple(KINDS)[round_ % 2 :] + tuple(KINDS)[: round_ % 2]:
                took = seconds_of_run(airflow, kind, f"round-{round_}")
                seconds[kind].append(took)
                console.print(f"  round {round_}: {kind:<8} {took:6.1f} s")
                _print_drivers(airflow, kind, f"round-{round_}", console)
    return seconds


def _print_drivers(airflow: LocalAirflow, dag_id: str, run_id: str, console: Console) -> None:
    reports = [
        airflow.api.xcom(dag_id, run_id, name, "kindling_report") for name in ("one", "other")
    ]
    shown = ", ".join(f"{r['duration_seconds']:.1f}" for r in reports)
    console.print(f"    the pipes in their drivers: {shown} s")


if __name__ == "__main__":
    run(Console(width=120))
