"""A picture of the page of a plan: ``python docs/plan_picture.py`` writes ``docs/images``.

The plan is that of a public project of 1,211 pipes (tests/graphs), with one pipe chosen.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from browser import Browser, BrowserError, find_chromium

from kindling_airflow.data_pipes import DataPipesRegistry
from kindling_airflow.execution_strategy import ExecutionPlanGenerator
from kindling_airflow.plan_report import plan_page

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "plan-page.png"
GRAPH = "healthcare_1211"
CHOSEN = "service_category__service_category_grouper"
LARGEST_BYTES = 400_000


def main() -> int:
    """Take the picture; return the exit status."""
    pipes = DataPipesRegistry()
    for record in json.loads((ROOT / "tests" / "graphs" / f"{GRAPH}.json").read_text("utf-8")):
        pipes.register_pipe(**record)
    page = plan_page(ExecutionPlanGenerator(pipes).generate_batch_plan(), GRAPH)
    try:
        with tempfile.TemporaryDirectory(prefix="kindling-") as scratch:
            _take(page, Path(scratch) / "plan.html")
    except BrowserError as error:
        sys.stderr.write(f"No picture: {error}\n")
        return 1
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size:,} bytes\n")
    return 0


def _take(page: str, file: Path) -> None:
    file.write_text(page, "utf-8")
    with Browser(find_chromium(), width=1600, height=940) as browser:
        browser.open(f"{file.as_uri()}#{quote(CHOSEN)}")
        browser.wait_until(f"document.querySelector('#panel h2')?.innerText === '{CHOSEN}'")
        browser.click("Show everything")
        browser.wait_until_still("document.body.innerText")
        browser.save(PICTURE)
    if PICTURE.stat().st_size > LARGEST_BYTES:
        raise BrowserError(f"{PICTURE.name} is larger than {LARGEST_BYTES:,} bytes")


if __name__ == "__main__":
    sys.exit(main())
