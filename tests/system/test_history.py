"""Run history on a real Airflow: usual values, unusual runs, durations, gaps and how to fill them.

What the pipes do takes no Spark: a stand-in for the driver makes the report of each. Everything
else is the package's and Airflow's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.local_airflow import LocalAirflow
from docs.browser import Browser, find_chromium
from tests.dag_factory.projects import write_definition
from tests.system.backfills import Backfills

pytestmark = pytest.mark.system

SALES = "<img src=x onerror=alert(1)>"  # an id is any text, and shown as one
PIPES = """
from kindling_airflow import DataEntities, DataPipes

for name in ("orders", "<img src=x onerror=alert(1)>"):
    DataEntities.entity(
        entityid=name,
        tags={"write_mode": "overwrite_interval", "interval.column": "day"},
        partition_columns=["day"],
    )

@DataPipes.pipe("take orders", input_entity_ids=["raw"], output_entity_id="orders")
def take(raw): ...

@DataPipes.pipe(
    "sell", input_entity_ids=["orders"], output_entity_id="<img src=x onerror=alert(1)>",
    tags={"interval.read": "slice"},
)
def sell(orders): ...
"""
FACTORY = """
import json
from pathlib import Path

from kindling_airflow.common.immutable import freeze
from kindling_airflow.dag_factory import load_dags
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import InputReport, RunReport
from kindling_airflow.tags.unusual import UnusualRules, past_runs, unusual_rows

WRITES = {{"take orders": "orders", "sell": "<img src=x onerror=alert(1)>"}}
READS = {{"take orders": "raw", "sell": "orders"}}

def work(self, context):
    self._ti = context["ti"]
    self._look_back()
    request = self.request = self._request(context)
    start, end = request.interval_start, request.interval_end
    rows = json.loads(Path({rows!r}).read_text()).get(f"{{self.pipe_id}} {{start[:10]}}", 1000)
    part = f"day in [{{start}}, {{end}})"
    extra = {{"write_mode": "overwrite_interval", "slice_written": part, "interval": [start, end]}}
    if self.pipe_id == "sell":
        extra["slices_read"] = {{"orders": part}}
    columns = [["day", "date"], ["amount", "double"]]
    extra["lineage"] = {{
        "inputs": {{READS[self.pipe_id]: {{
            "location": "/lake/" + READS[self.pipe_id], "format": "parquet", "columns": columns,
        }}}},
        "columns": columns,
        "sql": "SELECT day, amount FROM " + READS[self.pipe_id],
    }}
    past = past_runs(request.usual)
    if found := unusual_rows(UnusualRules.of({{"unusual.min_runs": 3}}), past, rows, 86400.0):
        extra["unusual"] = [found.text]
    self._report = RunReport(
        request.attempt_key, self.pipe_id, "published", WRITES[self.pipe_id],
        "/lake/" + self.pipe_id, rows_written=rows,
        inputs=(InputReport(READS[self.pipe_id]),), duration_seconds=0.2, extra=freeze(extra),
    )
    return self._judge(context, request, None)

KindlingPipeOperator.execute = work
globals().update(load_dags(__file__))
"""
DAILY = """dag_id: shop
schedule: "@daily"
start_date: 2026-01-01
on_missing_interval: run_after
retries: 5
retry_delay_seconds: 0
"""


class Shop(Backfills):
    """One Airflow with the DAG, and what its commands print."""

    def __init__(self, airflow: LocalAirflow, rows: Path) -> None:
        super().__init__(airflow, "shop")
        self.rows = rows

    def backfill(self, first: str, last: str, *options: str) -> None:
        self.close()
        self.create(first, last, *options)
        self.wait()

    def kindling(self, *arguments: str, status: int = 0) -> str:
        done = self.airflow.run("kindling", *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def gaps(self, first: str, last: str, status: int) -> dict[str, Any]:
        text = self.kindling("gaps", "shop", "--from", first, "--to", last, "--json", status=status)
        found: dict[str, Any] = json.loads(text)
        return found

    def window(self, day: str, task_id: str) -> list[dict[str, Any]]:
        run_id = self.run_of(day)["dag_run_id"]
        document = self.api.xcom("shop", run_id, task_id, "kindling_history")
        runs: list[dict[str, Any]] = document["runs"]
        return runs

    def clear(self, day: str, task_id: str) -> None:
        said = {"dag_run_id": self.run_of(day)["dag_run_id"], "task_ids": [task_id]}
        more = {"only_failed": False, "dry_run": False, "reset_dag_runs": True}
        self.api._call("POST", "/dags/shop/clearTaskInstances", {**said, **more})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("history")
    dags, rows = folder / "dags", folder / "rows.json"
    (dags / "shop").mkdir(parents=True)
    (dags / "shop" / "pipes.py").write_text(PIPES)
    rows.write_text("{}")
    write_definition(dags / "shop.kindling.yaml", DAILY)
    (dags / "kindling_dags.py").write_text(FACTORY.format(rows=str(rows)))
    transport = {"type": "file", "log_file_path": str(folder / "events.json"), "append": True}
    lineage = {
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
    }
    with LocalAirflow(
        folder / "home", dags_folder=dags, warehouse=folder / "lake", environment=lineage
    ) as airflow:
        airflow.api.wait_for_dag("shop")
        airflow.api.unpause("shop")
        yield Shop(airflow, rows)


def test_history_is_learnt_told_and_used(shop: Shop, tmp_path: Path) -> None:
    """One way through all of it, because each step needs the runs of the ones before."""
    # Three runs one after the other: each knows those before it.
    shop.backfill("2026-01-01", "2026-01-03", "--max-active-runs", "1")
    window = shop.window("2026-01-03", "sell")
    assert [run["at"][:10] for run in window] == [f"2026-01-0{n}" for n in range(1, 4)]
    assert {run["rows"] for run in window} == {1000}
    assert {run["interval_seconds"] for run in window} == {86_400}
    assert all(run["task_seconds"] > 0 for run in window)

    # A run of another size says so in its log and in its report.
    shop.rows.write_text('{"sell 2026-01-04": 3}')
    shop.backfill("2026-01-04", "2026-01-04")
    run_id = shop.run_of("2026-01-04")["dag_run_id"]
    text = "unusually few rows: 3; usual are 1,000 (median of 3 runs, median deviation 0.0)"
    assert text in shop.api.log("shop", run_id, "sell")
    report = shop.api.xcom("shop", run_id, "sell", "kindling_report")
    assert report["extra"]["unusual"] == [text]

    # Cleared and run again, it counts once, as it is now.
    shop.rows.write_text("{}")
    shop.clear("2026-01-04", "sell")
    shop.wait()
    assert [run["rows"] for run in shop.window("2026-01-04", "sell")] == [1000] * 4

    # The usual durations, as 'forecast' and a definition read them.
    file = tmp_path / "durations.json"
    shop.kindling("durations", "shop", "-o", str(file))
    durations = json.loads(file.read_text())
    assert list(durations) == ["sell", "take orders"]
    assert all(seconds > 0 for seconds in durations.values())
    source = str(shop.airflow.home.parent / "dags" / "shop.kindling.yaml")
    said = shop.kindling("forecast", source, "--durations", str(file), "--json")
    whole = json.loads(said)["critical_path_seconds"]
    assert whole == pytest.approx(sum(durations.values()))

    # Nothing is missing up to there, and all of it afterwards.
    assert shop.gaps("2026-01-01", "2026-01-04", 0)["gaps"] == []
    found = shop.gaps("2026-01-03", "2026-01-06", 1)
    assert [(gap["entity"], gap["slice"][:10], gap["state"]) for gap in found["gaps"]] == [
        ("orders", "2026-01-05", "missing"),
        ("orders", "2026-01-06", "missing"),
        (SALES, "2026-01-05", "missing"),
        (SALES, "2026-01-06", "missing"),
    ]


def test_openlineage_has_the_datasets_of_the_reports(shop: Shop) -> None:
    text = (shop.airflow.home.parent / "events.json").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    done = [e for e in events if e["eventType"] == "COMPLETE" and e["job"]["name"] == "shop.sell"]
    (read,), (written,) = done[0]["inputs"], done[0]["outputs"]
    assert (read["namespace"], read["name"]) == ("file", "/lake/orders")
    assert (written["namespace"], written["name"]) == ("file", "/lake/sell")
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 1000
    assert [f["name"] for f in written["facets"]["schema"]["fields"]] == ["day", "amount"]
    sources = written["facets"]["columnLineage"]["fields"]["amount"]["inputFields"]
    assert [(s["name"], s["field"]) for s in sources] == [("/lake/orders", "amount")]
    assert done[0]["job"]["facets"]["sql"]["query"] == "SELECT day, amount FROM orders"
    # It is in no XCom.
    run_id = shop.run_of("2026-01-03")["dag_run_id"]
    assert "lineage" not in shop.api.xcom("shop", run_id, "sell", "kindling_report")["extra"]


def test_the_tab_shows_versions_slices_and_how_to_fill_them(shop: Shop) -> None:
    page = "document.querySelector('iframe').contentDocument"
    cells = f"[...{page}.querySelectorAll('#grid tbody tr')].map(r => [...r.children].slice(1)"
    with Browser(find_chromium(), width=1400, height=900) as browser:
        browser.open(f"{shop.airflow.url}/dags/shop/plugin/kindling-tables")
        browser.wait_until(f"{page}.body.dataset.ready")
        for name, day in (("from", "2026-01-02"), ("to", "2026-01-06")):
            browser.evaluate(f"{page}.getElementById('{name}').value = '{day}'")
        browser.evaluate(f"{page}.getElementById('show').click()")
        browser.wait_until(f"{page}.querySelectorAll('#grid thead th').length === 6")
        states = browser.evaluate(f"{cells}.map(c => c.className).join(' '))")
        assert states == ["current current current missing missing"] * 2
        names = f"[...{page}.querySelectorAll('#grid tbody th')].map(h => h.textContent)"
        assert browser.evaluate(names) == ["orders", SALES]
        assert browser.evaluate(f"{page}.querySelectorAll('main img').length") == 0
        (command,) = browser.evaluate(
            f"[...{page}.querySelectorAll('#commands code')].map(c => c.textContent)"
        )
        assert command.startswith("airflow backfill create --dag-id shop --from-date 2026-01-05")
        first = f"{page}.querySelector('#published tbody tr')"
        texts = browser.evaluate(f"[...{first}.children].map(c => c.textContent)")
        assert texts[0] == "orders"
        assert texts[2:4] == ["1,000", "1,000"]
        if picture := os.environ.get("KINDLING_PICTURE"):
            browser.save(Path(picture))
        browser.evaluate(f"{first}.querySelector('a').click()")
        browser.wait_until("location.pathname.startsWith('/dags/shop/runs/')")


@pytest.mark.extended
def test_the_backfills_of_gaps_fill_exactly_these(shop: Shop) -> None:
    shop.clear("2026-01-04", "take_x20_orders")  # what reads it is stale then
    shop.wait()
    found = shop.gaps("2026-01-02", "2026-01-06", 1)
    assert [(gap["entity"], gap["slice"][:10], gap["state"]) for gap in found["gaps"]] == [
        ("orders", "2026-01-05", "missing"),
        ("orders", "2026-01-06", "missing"),
        (SALES, "2026-01-04", "stale"),
        (SALES, "2026-01-05", "missing"),
        (SALES, "2026-01-06", "missing"),
    ]
    assert found["commands"] == [
        [
            *("airflow", "backfill", "create", "--dag-id", "shop"),
            *("--from-date", "2026-01-04", "--to-date", "2026-01-04"),
            *("--reprocess-behavior", "completed", "--dag-run-conf", '{"select": "sell"}'),
        ],
        [
            *("airflow", "backfill", "create", "--dag-id", "shop"),
            *("--from-date", "2026-01-05", "--to-date", "2026-01-06"),
            *("--dag-run-conf", '{"select": "\\"take orders\\" sell"}'),
        ],
    ]
    for command in found["commands"]:
        shop.close()
        with shop.holding_still():
            done = shop.airflow.run(*command[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        shop.wait()
    assert shop.gaps("2026-01-02", "2026-01-06", 0)["gaps"] == []
