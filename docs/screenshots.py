"""Pictures of the samples in the real Airflow UI: ``make screenshots`` writes ``docs/images``.

    throw-away Airflow -> a DAG through the real scheduler -> headless Chromium -> PNG

The flights when their run is over, also those of the cluster demo, which takes minutes and is made
when it is named (``cluster``); the streams while they run. Nothing is posed: groups are opened,
panels are sized and the graph is moved, as a person would. A run in which a task had to be tried
again is not pictured. The tables are in a temporary folder.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from browser import Browser, BrowserError, find_chromium
from pictures import DETAIL, PROFILES, ROOT, groups_of, save_picture, show_graph, ui_settings
from rich.console import Console
from tables_picture import DAG_ID as TABLES
from tables_picture import take_tables

from demo import session as demo_session
from demo import streams as demo_streams
from demo.cluster import ClusterDemo
from demo.flights import DAG_ID, prepare, run_flights
from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.interrupts import interruptible
from kindling_airflow.errors import KindlingAirflowError

PICTURED_TASK = "silver.flights"
STREAMS = demo_streams.DAG_ID
CLUSTER = "cluster"
SESSION = demo_session.SESSION_DAG_ID


def main() -> int:
    """Run the DAGs and take the pictures; return the exit status."""
    console = Console(width=None if sys.stdout.isatty() else 110)
    chosen = sys.argv[1:] or [DAG_ID, SESSION, STREAMS, TABLES]
    makers = {
        DAG_ID: _flights,
        SESSION: _session,
        STREAMS: _streams,
        TABLES: _tables,
        CLUSTER: _cluster,
    }
    try:
        for dag_id in chosen:
            with interruptible(), tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
                for path in makers[dag_id](console, Path(scratch)):
                    console.print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    except (KindlingAirflowError, BrowserError) as error:
        console.print(f"[red]No pictures:[/red] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    return 0


def _flights(console: Console, place: Path) -> list[Path]:
    chromium = find_chromium()
    airflow = prepare(console, ROOT / "dags", place / "airflow", place / "warehouse", PROFILES)
    with airflow:
        run_id, state = run_flights(console, airflow)
        _check_run(airflow, DAG_ID, run_id, state, "success")
        return _take(chromium, airflow, run_id)


def _session(console: Console, place: Path) -> list[Path]:
    chromium = find_chromium()
    airflow = demo_session.prepare_both(console, ROOT / "dags", place / "own", PROFILES)
    with airflow:
        run_id, state = run_flights(console, airflow, SESSION)
        _check_run(airflow, SESSION, run_id, state, "success")
        return _take_session(chromium, airflow, run_id)


def _take_session(chromium: str, airflow: LocalAirflow, run_id: str) -> list[Path]:
    run = f"{airflow.url}/dags/{SESSION}/runs/{quote(run_id, safe='')}"
    groups = groups_of(DAG_ID)
    its_task = "document.body.innerText.includes('session run')"

    with Browser(chromium, width=1400, height=900, scale=DETAIL) as page:
        page.open(run, ui_settings(SESSION, "grid", groups, left=24))
        page.wait_until(its_task)
        page.wait_until("document.body.innerText.includes('Task Instances')")
        grid = save_picture(page, "session-grid.png")

    with Browser(chromium, width=1400, height=800, scale=DETAIL) as page:
        page.open(run, ui_settings(SESSION, "gantt", groups, left=62))
        page.wait_until(its_task)
        gantt = save_picture(page, "session-gantt.png")

    return [grid, gantt]


def _streams(console: Console, place: Path) -> list[Path]:
    chromium = find_chromium()
    airflow = demo_streams.prepare(console, ROOT / "dags", place, PROFILES)
    with airflow:
        watch = demo_streams.Watch(console, airflow)
        watch.until_ready()
        dropping = demo_streams.drop_clicks(ROOT / "dags" / STREAMS, place / "warehouse")
        try:
            watch.show(lambda: dropping.poll() is not None)
            run = airflow.api.run(STREAMS, watch.run_id)
            _check_run(airflow, STREAMS, watch.run_id, str(run["state"]), "running")
            found = _take_streams(chromium, airflow, watch.run_id)
        finally:
            dropping.kill()
            dropping.wait()
        watch.stop()
    return found


def _tables(_: Console, place: Path) -> list[Path]:
    return [take_tables(find_chromium(), place)]


def _cluster(console: Console, place: Path) -> list[Path]:
    chromium = find_chromium()
    place.chmod(0o755)  # the database's server has a user of its own
    with ClusterDemo(console, ROOT / "dags", place) as cluster:
        airflow = cluster.airflow
        run_id, state = run_flights(console, airflow)
        _check_run(airflow, DAG_ID, run_id, state, "success")
        cluster.show_hosts(run_id)
        run = f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"
        first_task = f"document.body.innerText.includes({json.dumps(PICTURED_TASK)})"
        groups = groups_of(DAG_ID)
        with Browser(chromium, width=1400, height=760, scale=DETAIL) as page:
            page.open(run, ui_settings(DAG_ID, "gantt", groups, left=62))
            page.wait_until(first_task)
            gantt = save_picture(page, "cluster-gantt.png")
        with Browser(chromium, width=1400, height=720, scale=DETAIL) as page:
            page.open(
                f"{run}/tasks/{PICTURED_TASK}/details", ui_settings(DAG_ID, "grid", groups, left=24)
            )
            page.wait_until("document.body.innerText.includes('worker-')")
            host = save_picture(page, "cluster-host.png")
        if not cluster.compare():
            raise BrowserError("a table is not what DuckDB computes; see above")
    return [gantt, host]


def _check_run(airflow: LocalAirflow, dag_id: str, run_id: str, state: str, wanted: str) -> None:
    instances = airflow.api.task_instances(dag_id, run_id)
    odd = {i["task_id"]: i["try_number"] for i in instances if i["try_number"] > 1}
    if state != wanted or odd:
        raise BrowserError(
            f"run {run_id} ended as {state!r}; tasks with more than one try: {odd or 'none'}\n"
            "  Fix: read their logs, fix the cause, and run this again."
        )


def _take(chromium: str, airflow: LocalAirflow, run_id: str) -> list[Path]:
    run = f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id, safe='')}"
    groups = groups_of(DAG_ID)
    first_task = f"document.body.innerText.includes({json.dumps(PICTURED_TASK)})"

    with Browser(chromium, width=1400, height=860, scale=DETAIL) as page:
        page.open(run, ui_settings(DAG_ID, "grid", groups, left=24))
        page.wait_until(first_task)
        page.wait_until("document.body.innerText.includes('Task Instances')")
        grid = save_picture(page, "flights-grid.png")

    with Browser(chromium, width=1400, height=760, scale=DETAIL) as page:
        page.open(run, ui_settings(DAG_ID, "gantt", groups, left=62))
        page.wait_until(first_task)
        gantt = save_picture(page, "flights-gantt.png")

    with Browser(chromium, width=1600, height=920) as page:
        page.open(run, ui_settings(DAG_ID, "graph", groups, left=75))
        page.wait_until(first_task)
        show_graph(page)
        page.drag((700, 120), (700, 40))  # up, away from the map in the corner
        graph = save_picture(page, "flights-graph.png")

    with Browser(chromium, width=1400, height=720, scale=DETAIL) as page:
        settings = ui_settings(DAG_ID, "grid", groups, left=24)
        page.open(f"{run}/tasks/{PICTURED_TASK}/xcom", settings)
        page.click("Expand all extra JSON")
        page.wait_until("document.body.innerText.includes('rows_written')")
        report = save_picture(page, "flights-report.png")

    with Browser(chromium, width=1600, height=920) as page:
        page.open(f"{run}/plugin/kindling-run-plan", ui_settings(DAG_ID, "grid", groups, left=20))
        inside = "document.querySelector('iframe')?.contentDocument"
        page.wait_until(f"{inside}?.querySelector('#actual')")
        plan = save_picture(page, "plan-in-airflow.png")

    return [grid, gantt, graph, report, plan]


def _take_streams(chromium: str, airflow: LocalAirflow, run_id: str) -> list[Path]:
    run = f"{airflow.url}/dags/{STREAMS}/runs/{quote(run_id, safe='')}"
    groups = groups_of(STREAMS)

    with Browser(chromium, width=1400, height=640, scale=DETAIL) as page:
        page.open(run, ui_settings(STREAMS, "grid", groups, left=24))
        page.wait_until("document.body.innerText.includes('clicks.alerts')")
        page.wait_until("document.body.innerText.includes('Task Instances')")
        grid = save_picture(page, "streams-grid.png")

    with Browser(chromium, width=1400, height=640, scale=DETAIL) as page:
        page.open(run, ui_settings(STREAMS, "graph", groups, left=75))
        page.wait_until("document.body.innerText.includes('clicks.alerts')")
        show_graph(page)
        graph = save_picture(page, "streams-graph.png")

    with Browser(chromium, width=1400, height=720, scale=DETAIL) as page:
        settings = ui_settings(STREAMS, "grid", groups, left=24)
        page.open(f"{run}/tasks/clicks.clean/xcom", settings)
        page.click("Expand all extra JSON")
        page.wait_until("document.body.innerText.includes('rows_per_second')")
        progress = save_picture(page, "streams-progress.png")

    return [grid, graph, progress]


if __name__ == "__main__":
    sys.exit(main())
