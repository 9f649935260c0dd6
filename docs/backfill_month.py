"""A month of flights, backfilled: ``python -m docs.backfill_month`` renews the how-to's result.

    throw-away Airflow -> the example project -> airflow backfill create -> a part of the page

The commands are those of the page, and what is shown is what they and DuckDB say. The tables are
compared with what DuckDB makes of the same file; where they differ, nothing is written.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from demo.local_airflow import LocalAirflow
from kindling_airflow.errors import KindlingAirflowError
from tests.system.backfills import Backfills

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "how-to" / "backfill.md"
EXAMPLE = ROOT / "docs" / "examples" / "backfill" / "dags"
PROFILES = ROOT / ".demo" / "profile"  # the demo's, so that it is made once
LONGEST_SECONDS = 7200.0
RESULT = re.compile(r"(?<=<!-- month -->\n).*?(?=<!-- end of month -->)", re.DOTALL)
MADE = "SELECT * FROM read_parquet('{}/**/*.parquet', hive_partitioning = true)"
DAYS = """
    SELECT flight_date, sum(flights)::BIGINT AS flights, count(*) AS carriers,
           max(mean_delay) AS worst_mean_delay
    FROM ({delays}) GROUP BY flight_date ORDER BY flight_date"""
SAME = """
    SELECT count(*) FROM (
        (SELECT flight_date, carrier, flights FROM ({delays}) EXCEPT ALL SELECT * FROM {source})
        UNION ALL
        (SELECT * FROM {source} EXCEPT ALL SELECT flight_date, carrier, flights FROM ({delays})))"""
SOURCE = """(
    SELECT make_date(year, month, day), carrier, count(*)
    FROM read_csv('{landing}/flights.csv', nullstr = 'NA', sample_size = -1)
    WHERE month = 1 GROUP BY ALL)"""


def main() -> int:
    """Run the month and renew the page; return the exit status."""
    try:
        with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
            text = run_month(Path(scratch))
    except (KindlingAirflowError, AssertionError, RuntimeError) as error:
        sys.stderr.write(f"The page is as it was: {error}\n")
        return 1
    PAGE.write_text(RESULT.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")
    return 0


def run_month(place: Path) -> str:
    """Run the month on a throw-away Airflow; return the part of the page."""
    dags, warehouse = place / "dags", place / "warehouse"
    shutil.copytree(EXAMPLE, dags, ignore=shutil.ignore_patterns("__pycache__"))
    land = [sys.executable, "-m", "flights_pipeline.landing", str(warehouse)]
    subprocess.run(land, cwd=ROOT / "dags" / "flights", check=True, stdout=subprocess.DEVNULL)
    with LocalAirflow(
        place / "airflow", dags_folder=dags, warehouse=warehouse, profile=PROFILES
    ) as airflow:
        airflow.api.wait_for_dag("days")
        airflow.api.unpause("days")
        began = time.monotonic()
        month = Backfills(airflow, "days")
        month.create("2013-01-01", "2013-01-31", "--max-active-runs", "3")
        month.wait(LONGEST_SECONDS)
        minutes = (time.monotonic() - began) / 60
        states = {run["data_interval_start"][:10]: run["state"] for run in month.runs()}
    return result(warehouse, states, minutes)


def result(warehouse: Path, states: dict[str, str], minutes: float) -> str:
    """Return what the month has left, as a part of the page.

    Raises:
        RuntimeError: a run failed, or the table is not what DuckDB makes of the source.
    """
    failed = [day for day, state in states.items() if state != "success"]
    delays = MADE.format(warehouse / "days.delays")
    source = SOURCE.format(landing=warehouse / "landing")
    [(wrong,)] = duckdb.sql(SAME.format(delays=delays, source=source)).fetchall()
    if failed or wrong:
        raise RuntimeError(f"failed: {failed or 'none'}; rows that are not as expected: {wrong}")
    days = duckdb.sql(DAYS.format(delays=delays)).fetchall()
    flights = sum(row[1] for row in days)
    lines = [f"{day}   {n:>7,}   {carriers:>8}   {worst:>16}" for day, n, carriers, worst in days]
    head = "flight_date  flights   carriers   worst_mean_delay"
    shown = "\n".join((head, *lines[:5], f"... and {len(lines) - 6} more", lines[-1]))
    return (
        f"On two cores the {len(states)} runs took {minutes:.0f} minutes, all of them ended well, "
        f"and `days.delays` has {len(days)} days with {flights:,} flights:\n\n"
        f"```text\n{shown}\n```\n"
    )


if __name__ == "__main__":
    sys.exit(main())
