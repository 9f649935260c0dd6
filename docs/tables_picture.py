"""The tab *Tables* of a DAG that was backfilled for some days: ``make screenshots`` calls it.

The example of the how-to about backfills. After the backfill one day of the first table is made
again, so that the second is stale there, and the days behind it are missing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from browser import Browser
from pictures import PROFILES, ROOT, save_picture, ui_settings

from demo.local_airflow import LocalAirflow
from tests.system.backfills import Backfills

__all__ = ["DAG_ID", "take_tables"]

DAG_ID = "days"
_EXAMPLE = ROOT / "docs" / "examples" / "backfill" / "dags"
_FIRST, _LAST, _SHOWN = "2013-01-01", "2013-01-05", "2013-01-08"
_FRAME = "document.querySelector('iframe').contentDocument"


def take_tables(chromium: str, place: Path) -> Path:
    """Run the example and take the picture."""
    dags, warehouse = place / "dags", place / "warehouse"
    shutil.copytree(_EXAMPLE, dags, ignore=shutil.ignore_patterns("__pycache__"))
    land = [sys.executable, "-m", "flights_pipeline.landing", str(warehouse)]
    subprocess.run(land, cwd=ROOT / "dags" / "flights", check=True, stdout=subprocess.DEVNULL)
    with LocalAirflow(
        place / "airflow", dags_folder=dags, warehouse=warehouse, profile=PROFILES
    ) as airflow:
        airflow.api.wait_for_dag(DAG_ID)
        airflow.api.unpause(DAG_ID)
        days = Backfills(airflow, DAG_ID)
        days.create(_FIRST, _LAST, "--max-active-runs", "2")
        days.wait()
        which = {"dag_run_id": days.run_of(_LAST)["dag_run_id"], "task_ids": ["days.flights"]}
        how = {"only_failed": False, "dry_run": False, "reset_dag_runs": True}
        airflow.api._call("POST", f"/dags/{DAG_ID}/clearTaskInstances", {**which, **how})
        days.wait()
        return _take(chromium, airflow.url)


def _take(chromium: str, url: str) -> Path:
    with Browser(chromium, width=1500, height=900) as page:
        page.open(
            f"{url}/dags/{DAG_ID}/plugin/kindling-tables", ui_settings(DAG_ID, "grid", (), left=25)
        )
        page.wait_until(f"{_FRAME}.body.dataset.ready")
        for name, day in (("from", _FIRST), ("to", _SHOWN)):
            page.evaluate(f"{_FRAME}.getElementById('{name}').value = '{day}'")
        page.evaluate(f"{_FRAME}.getElementById('show').click()")
        page.wait_until(f"{_FRAME}.querySelectorAll('#grid thead th').length === 9")
        page.wait_until_still("document.body.innerText")
        return save_picture(page, "tables.png")
