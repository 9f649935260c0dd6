"""A DAG of 1,211 pipes in the real Airflow UI: ``make ui-at-size`` writes ``docs/ui-at-size.md``.

    throw-away Airflow -> the same 1,211 tasks in generations, and flat -> headless Chromium

Each view is opened in a fresh browser, and timed from the call of the page until the first task or
group is there, and until nothing has moved for two seconds. The DAGs have one run, whose tasks
wait: the page draws as many cells as it ever does.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import airflow
from browser import Browser, BrowserError, find_chromium
from rich.console import Console

from demo.local_airflow import LocalAirflow
from kindling_airflow.cli.interrupts import interruptible
from kindling_airflow.errors import KindlingAirflowError

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "ui-at-size.md"
GRAPH = ROOT / "tests" / "graphs" / "healthcare_1211.json"
LARGEST_BYTES = 250_000
LONGEST_SECONDS = 300.0
STILL_SECONDS = 2.0
ROUNDS = 3
RUN = "at-size"

console = Console(width=110, highlight=False)

PROJECT = """\
import json
from pathlib import Path

from kindling_airflow import DataPipes

for record in json.loads((Path(__file__).parent / "graph.json").read_text()):

    @DataPipes.pipe(**record)
    def pipe(**inputs): ...
"""
DEFINITION = """\
dag_id: grouped
project: project
width: 16
assets: false
"""
FACTORY = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""
FLAT = '''\
"""The same tasks and the same edges, and nothing else."""

from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from kindling_airflow.definitions.compile import compile_definition
from kindling_airflow.definitions.definition import Definition

definition = Definition.from_file(Path(__file__).parent / "grouped.kindling.yaml")
with DAG("flat", schedule=None) as dag:
    tasks = compile_definition(definition).spec.tasks()
    operators = {task.task_id: EmptyOperator(task_id=task.task_id) for task in tasks}
    for task in tasks:
        if task.upstream:
            operators[task.task_id].set_upstream([operators[name] for name in task.upstream])
'''


@dataclass(frozen=True)
class View:
    """One way to look at one of the DAGs."""

    name: str
    dag_id: str
    view: str
    open_groups: bool = False
    picture: str | None = None


VIEWS = (
    View("Grid, generations closed", "grouped", "grid", picture="size-grid-generations.png"),
    View("Grid, generations open", "grouped", "grid", open_groups=True),
    View("Grid, flat", "flat", "grid"),
    View("Graph, generations closed", "grouped", "graph", picture="size-graph-generations.png"),
    View("Graph, generations open", "grouped", "graph", open_groups=True),
    View("Graph, flat", "flat", "graph", picture="size-graph-flat.png"),
)


@dataclass(frozen=True)
class Opened:
    """How a view opened: seconds to the first thing and to the last, and how much there is."""

    first: float
    still: float
    elements: int


def main() -> int:
    """Measure, take the pictures, and renew the page; return the exit status."""
    try:
        with interruptible(), tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
            _measure(Path(scratch))
    except (KindlingAirflowError, BrowserError) as error:
        console.print(f"Not measured: {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _measure(place: Path) -> None:
    chromium = find_chromium()
    dags = place / "dags"
    (dags / "project").mkdir(parents=True)
    shutil.copy(GRAPH, dags / "project" / "graph.json")
    (dags / "project" / "pipes.py").write_text(PROJECT)
    (dags / "grouped.kindling.yaml").write_text(DEFINITION)
    (dags / "grouped.py").write_text(FACTORY)
    (dags / "flat.py").write_text(FLAT)
    with LocalAirflow(
        place / "airflow",
        dags_folder=dags,
        warehouse=place / "warehouse",
        environment={"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600"},
    ) as running:
        for dag_id in ("grouped", "flat"):
            running.api.wait_for_dag(dag_id)
            running.api.trigger(dag_id, RUN)  # paused: its tasks wait
        tasks = running.api.tasks("grouped")
        groups = [f"generation_{n}" for n in range(len(tasks))]
        found: dict[str, list[Opened]] = {}
        for round_ in range(ROUNDS):
            for view in VIEWS:
                opened = _open(chromium, running, view, groups, picture=round_ == 0)
                console.print(f"{view.name:<28} {opened}")
                found.setdefault(view.name, []).append(opened)
    table = "\n".join(_row(name, rounds) for name, rounds in found.items())
    _renew(table)


def _open(
    chromium: str, running: LocalAirflow, view: View, groups: list[str], *, picture: bool
) -> Opened:
    url = f"{running.url}/dags/{view.dag_id}/runs/{quote(RUN, safe='')}"
    storage = {
        "theme": "light",
        "default_dag_view": json.dumps(view.view),
        f"{view.dag_id}/open-groups": json.dumps(groups if view.open_groups else []),
        f"direction-{view.dag_id}": json.dumps("RIGHT"),
        f"react-resizable-panels:{view.view}-ltr": json.dumps(
            {"details-panel,main-panel": {"expandToSizes": {}, "layout": [70, 30]}}
        ),
    }
    ready = (
        "document.querySelectorAll('.react-flow__node').length"
        if view.view == "graph"
        else 'document.querySelectorAll(\'[id^="name-"], a[href*="/tasks/"]\').length'
    )
    with Browser(chromium, width=1600, height=920) as page:
        started = time.monotonic()
        page.open(url, storage)
        page.wait_until(f"{ready} > 0", LONGEST_SECONDS)
        first = time.monotonic() - started
        still = _until_still(page, started)
        if picture and view.picture is not None:
            page.save(IMAGES / view.picture)
            if (IMAGES / view.picture).stat().st_size > LARGEST_BYTES:
                raise BrowserError(f"{view.picture} is larger than {LARGEST_BYTES:,} bytes")
        return Opened(
            round(first, 1),
            round(still, 1),
            int(page.evaluate("document.querySelectorAll('*').length")),
        )


def _until_still(page: Browser, started: float) -> float:
    """Return when the page changed last, once it has not for a while."""
    seen, changed = "", time.monotonic()
    look = (
        "document.querySelectorAll('*').length + ' ' + "
        "(document.querySelector('.react-flow__viewport')?.style.transform ?? '')"
    )
    while time.monotonic() - changed < STILL_SECONDS:
        now = str(page.evaluate(look))
        if now != seen:
            seen, changed = now, time.monotonic()
        time.sleep(0.1)
    return changed - started


def _row(name: str, rounds: list[Opened]) -> str:
    def median(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    first, still = median([r.first for r in rounds]), median([r.still for r in rounds])
    return f"| {name} | {first:.1f} s | {still:.1f} s | {rounds[0].elements:,} |"


def _renew(table: str) -> None:
    """Put the figures between the page's marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- measured -->\n")
    _, _, after = rest.partition("<!-- /measured -->")
    head = "| view | first seen | complete | elements |\n|---|---|---|---|"
    where = f"Airflow {airflow.__version__}, Python {platform.python_version()}, 2 cores"
    figures = f"{where}, median of {ROUNDS}:\n\n{head}\n{table}"
    PAGE.write_text(
        f"{before}<!-- measured -->\n{figures}\n<!-- /measured -->{after}", encoding="utf-8"
    )
    console.print(f"{PAGE.relative_to(ROOT)}:\n{table}")


if __name__ == "__main__":
    sys.exit(main())
