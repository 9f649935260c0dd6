"""Pictures of the flights run in the real Airflow UI: ``make screenshots`` writes ``docs/images``.

    throw-away Airflow -> the flights DAG through the real scheduler -> headless Chromium -> PNG

Nothing is posed: groups are opened, panels are sized and the graph is moved, as a person would. A
run in which a task had to be tried again is not pictured. The tables lie in a temporary folder.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from browser import Browser, BrowserError, find_chromium
from rich.console import Console

from kindling_airflow.cli.demo import DAG_ID, prepare, run_flights
from kindling_airflow.cli.interrupts import interruptible
from kindling_airflow.cli.local_airflow import LocalAirflow
from kindling_airflow.dag_factory.compile import compile_definition
from kindling_airflow.dag_factory.definition import Definition
from kindling_airflow.errors import KindlingAirflowError

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PROFILES = ROOT / ".demo" / "profile"  # the demo's, so that it is made once
PICTURED_TASK = "silver.flights"
LARGEST_BYTES = 400_000
DETAIL = 1.15  # pixels for one CSS pixel: text stays sharp where a page scales the picture


def main() -> int:
    """Run the DAG and take the pictures; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    try:
        with interruptible(), tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
            for path in _pictures(console, Path(scratch)):
                console.print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    except (KindlingAirflowError, BrowserError) as error:
        console.print(f"[red]No pictures:[/red] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    return 0


def _pictures(console: Console, place: Path) -> list[Path]:
    chromium = find_chromium()
    airflow = prepare(console, ROOT / "dags", place / "airflow", place / "warehouse", PROFILES)
    with airflow:
        run_id, state = run_flights(console, airflow)
        _check_run(airflow, run_id, state)
        return _take(chromium, airflow, run_id)


def _check_run(airflow: LocalAirflow, run_id: str, state: str) -> None:
    instances = airflow.api.task_instances(DAG_ID, run_id)
    odd = {i["task_id"]: i["try_number"] for i in instances if i["try_number"] != 1}
    if state != "success" or odd:
        raise BrowserError(
            f"run {run_id} ended as {state!r}; tasks with more than one try: {odd or 'none'}\n"
            "  Fix: read their logs, mend what is wrong, and run this again."
        )


def _take(chromium: str, airflow: LocalAirflow, run_id: str) -> list[Path]:
    run = f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"
    groups = _groups()
    first_task = f"document.body.innerText.includes({json.dumps(PICTURED_TASK)})"

    with Browser(chromium, width=1400, height=860, scale=DETAIL) as page:
        page.open(run, _settings("grid", groups, left=24))
        page.wait_until(first_task)
        page.wait_until("document.body.innerText.includes('Task Instances')")
        grid = _save(page, "flights-grid.png")

    with Browser(chromium, width=1400, height=760, scale=DETAIL) as page:
        page.open(run, _settings("gantt", groups, left=62))
        page.wait_until(first_task)
        gantt = _save(page, "flights-gantt.png")

    with Browser(chromium, width=1600, height=920) as page:
        page.open(run, _settings("graph", groups, left=75))
        page.wait_until(first_task)
        page.click("Collapse Details Panel")
        page.wait_until_still("document.querySelector('.react-flow__viewport')?.style.transform")
        page.click("Fit View")
        page.wait_until_still("document.querySelector('.react-flow__viewport')?.style.transform")
        page.drag((700, 120), (700, 40))  # up, away from the map in the corner
        graph = _save(page, "flights-graph.png")

    with Browser(chromium, width=1400, height=720, scale=DETAIL) as page:
        page.open(f"{run}/tasks/{PICTURED_TASK}/xcom", _settings("grid", groups, left=24))
        page.click("Expand all extra JSON")
        page.wait_until("document.body.innerText.includes('rows_written')")
        report = _save(page, "flights-report.png")

    return [grid, gantt, graph, report]


def _groups() -> list[str]:
    """Return the ids of the TaskGroups that the UI is to draw open."""
    definition = Definition.from_file(ROOT / "dags" / f"{DAG_ID}.kindling.yaml")
    return [group.group_id for group in compile_definition(definition).spec.groups]


def _settings(view: str, groups: list[str], *, left: int) -> Mapping[str, str]:
    """Return what the UI remembers in the browser: theme, view, open groups, panel sizes."""
    panels = "graph" if view == "graph" else "grid"
    layout = {"expandToSizes": {}, "layout": [left, 100 - left]}
    return {
        "theme": "light",
        "default_dag_view": json.dumps(view),
        f"{DAG_ID}/open-groups": json.dumps(groups),
        f"direction-{DAG_ID}": json.dumps("RIGHT"),
        f"react-resizable-panels:{panels}-ltr": json.dumps({"details-panel,main-panel": layout}),
    }


def _save(page: Browser, name: str) -> Path:
    page.wait_until_still("document.body.innerText")
    path = IMAGES / name
    page.save(path)
    if path.stat().st_size > LARGEST_BYTES:
        raise BrowserError(f"{name} is larger than {LARGEST_BYTES:,} bytes")
    return path


if __name__ == "__main__":
    sys.exit(main())
