"""``make demo-session``: the flights project twice, with a driver for each pipe and with one.

    land the data -> compile -> start Airflow -> run both -> show what each took -> stay up

``DEMO_ONCE=1`` ends after the figures. The exit status is 0 only if both runs succeeded and
published the same rows.
"""

from __future__ import annotations

import shutil
import sys
from datetime import datetime
from pathlib import Path

from rich.console import Console

from demo.flights import DAG_ID, GOLD_TABLE, land, run_flights, show_summary
from demo.local_airflow import LocalAirflow
from demo.running import run_demo, show_run_and_stay
from kindling_airflow.cli.main import main as kindling_airflow
from kindling_airflow.cli.warming import warm_archive
from kindling_airflow.errors import KindlingAirflowError, StartProfileError

__all__ = ["SESSION_DAG_ID", "main", "prepare_both", "seconds_of"]

SESSION_DAG_ID = "flights_session"
_WORKERS = 8  # one of the local executor stays busy for a while after its task has ended


def main() -> int:
    """Run the demo from the repository's root folder; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    place = Path.cwd() / ".demo"
    return run_demo(console, lambda: _demo(console, Path.cwd() / "dags", place))


def _demo(console: Console, dags: Path, place: Path) -> int:
    airflow = prepare_both(console, dags, place / "session", place / "profile")
    took: dict[str, float] = {}
    with airflow:
        for dag_id in (DAG_ID, SESSION_DAG_ID):
            run_id, state = run_flights(console, airflow, dag_id)
            show_summary(console, airflow, run_id, state, dag_id)
            if state != "success":
                return 1
            took[dag_id] = seconds_of(airflow, dag_id, run_id)
        _check_same_rows(place / "session")
        console.print(
            f"16 pipes, each with its own driver: [bold]{took[DAG_ID]:.0f} s[/bold]\n"
            f"16 pipes in one session:            [bold]{took[SESSION_DAG_ID]:.0f} s[/bold]"
        )
        address = f"{airflow.url}/dags/{SESSION_DAG_ID}/runs/{run_id}"
        show_run_and_stay(console, address, "The UI runs")
    return 0


def prepare_both(console: Console, dags: Path, place: Path, profile: Path) -> LocalAirflow:
    """Return a fresh Airflow, not yet started, with the flights DAG with and without a session.

    Args:
        console: shows the progress.
        dags: the folder with the definition ``flights.kindling.yaml``.
        place: of the deployment; deleted first.
        profile: folder of the start-up profile.

    Raises:
        KindlingAirflowError: the data cannot be loaded, or the project does not compile.
    """
    shutil.rmtree(place, ignore_errors=True)
    own = place / "dags"
    generated = shutil.ignore_patterns("__pycache__", "*.manifest.json")
    shutil.copytree(dags / DAG_ID, own / DAG_ID, ignore=generated)
    shutil.copy(dags / "kindling_dags.py", own)
    text = (dags / f"{DAG_ID}.kindling.yaml").read_text()
    for dag_id, session in ((DAG_ID, "pipe"), (SESSION_DAG_ID, "run")):
        land(console, own / DAG_ID, place / dag_id)
        path = own / f"{dag_id}.kindling.yaml"
        changed = text.replace(f"dag_id: {DAG_ID}", f"dag_id: {dag_id}")
        path.write_text(f"{changed}\nsession: {session}\nwarehouse: {place / dag_id}\n")
        if kindling_airflow(["compile", str(path)]) != 0:
            raise KindlingAirflowError("the project does not compile; see the errors above.")
    try:
        warm_archive(profile, console.print)
    except StartProfileError as error:  # the demo works without it, only slower
        console.print(str(error), markup=False)
    console.print("Starting Airflow (database, scheduler, DAG processor, web server) ...")
    return LocalAirflow(
        place / "airflow",
        dags_folder=own,
        warehouse=place / DAG_ID,
        profile=profile,
        parallelism=_WORKERS,
    )


def seconds_of(airflow: LocalAirflow, dag_id: str, run_id: str) -> float:
    """Return the wall clock of a run that has ended."""
    found = airflow.api.run(dag_id, run_id)
    start, end = (datetime.fromisoformat(found[key]) for key in ("start_date", "end_date"))
    return (end - start).total_seconds()


def _check_same_rows(place: Path) -> None:
    import duckdb

    rows = [
        duckdb.connect()
        .execute(
            "SELECT * FROM read_parquet($1) ORDER BY ALL",
            [f"{place / dag_id / GOLD_TABLE}/*.parquet"],
        )
        .fetchall()
        for dag_id in (DAG_ID, SESSION_DAG_ID)
    ]
    if rows[0] != rows[1]:
        raise KindlingAirflowError(f"the two runs have published different rows of {GOLD_TABLE!r}")


if __name__ == "__main__":
    sys.exit(main())
