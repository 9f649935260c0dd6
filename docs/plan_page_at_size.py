"""The live page of a plan at size: ``python docs/plan_page_at_size.py`` prints the figures.

A run of 1,211 pipes in Airflow's real API server, without a scheduler: states are written into its
database as the scheduler and the workers would. Chromium has the page open meanwhile.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

console = Console(width=110, highlight=False)
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.browser import Browser, find_chromium  # noqa: E402
from tests.plugin.pages.world import GRAPH, world  # noqa: E402

MOVES = 40
REPORT = {
    "version": 1,
    "status": "published",
    "rows_written": 1_234_567,
    "inputs": [{"entity_id": "a", "rows": 7_654_321}],
    "expectations": [],
}
LONG_TASKS = """(() => {
    window.longest = 0;
    new PerformanceObserver(list => list.getEntries().forEach(e => {
        window.longest = Math.max(window.longest, e.duration);
    })).observe({type: "longtask"});
})()"""
WHEEL = """(() => {
    const map = document.getElementById("map");
    for (let n = 0; n < 20; n += 1) {
        map.dispatchEvent(new WheelEvent("wheel", {deltaY: n % 2 ? 90 : -90, clientX: 500,
            clientY: 400, cancelable: true}));
    }
})()"""


def main() -> int:
    """Measure and print; return the exit status."""
    names = [record["pipeid"] for record in json.loads(GRAPH.read_text("utf-8"))]
    with (
        tempfile.TemporaryDirectory(prefix="kindling-") as scratch,
        world(Path(scratch)) as found,
        Browser(find_chromium(), width=1600, height=900) as browser,
    ):
        found.tell("trigger", dag_id="large", run_id="run", hours=0)
        client = found.client()
        for _ in range(2):  # the first one reads the stored plan
            started = time.monotonic()
            answer = client.get("/kindling/dags/large/plan")
            console.print(
                f"page: {time.monotonic() - started:.2f} s, {len(answer.content):,} bytes"
            )
        token = client.headers["Authorization"].removeprefix("Bearer ")
        browser.set_cookie("_token", token, found.url)
        browser.open(f"{found.url}/kindling/dags/large/plan")
        browser.wait_until("document.querySelector('#panel h2')")
        drawn = browser.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            " - performance.getEntriesByType('navigation')[0].responseEnd"
        )
        console.print(f"first drawing: {drawn:.0f} ms after the response")
        browser.evaluate(LONG_TASKS)
        step = len(names) // MOVES
        for n in range(0, len(names), step):
            some = [name.replace("_x", "_x5f_x") for name in names[n : n + step]]
            found.tell(
                "task_is", dag_id="large", run_id="run", task_id=some, state="success", start=n,
                end=n + 9,
            )  # fmt: skip
            for name in some[:3]:
                found.tell("xcom", dag_id="large", run_id="run", task_id=name,
                           key="kindling_report", value=REPORT)  # fmt: skip
            browser.evaluate(WHEEL)
            time.sleep(1)
        found.tell("all_tasks_are", dag_id="large", run_id="run", state="failed")
        time.sleep(25)
        refreshes = browser.evaluate("document.documentElement.refreshes")
        console.print(f"refreshes: {len(refreshes)}")
        console.print(f"  largest answer: {max(size for size, _ in refreshes):,} bytes")
        console.print(f"  longest work on the main thread: {max(ms for _, ms in refreshes):.0f} ms")
        console.print(f"longest task of the page: {browser.evaluate('window.longest'):.0f} ms")
        found.tell("cost")
        client.get("/kindling/dags/large/run", params={"run_id": "run"})
        console.print(f"statements of a refresh: {len(found.tell('cost'))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
