"""Run history on a real Airflow: usual values, unusual runs, durations, gaps and how to fill them.

What the pipes do takes no Spark: a stand-in for the driver makes the report of each. Everything
else is the package's and Airflow's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.local_airflow import LocalAirflow
from tests.dag_factory.projects import write_definition
from tests.system.backfills import Backfills

pytestmark = pytest.mark.system

PIPES = """
from kindling_airflow import DataEntities, DataPipes

for name in ("orders", "sales"):
    DataEntities.entity(
        entityid=name,
        tags={"write_mode": "overwrite_interval", "interval.column": "day"},
        partition_columns=["day"],
    )

@DataPipes.pipe("take orders", input_entity_ids=["raw"], output_entity_id="orders")
def take(raw): ...

@DataPipes.pipe(
    "sell", input_entity_ids=["orders"], output_entity_id="sales",
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

WRITES = {{"take orders": "orders", "sell": "sales"}}
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
    past = past_runs(request.usual)
    if found := unusual_rows(UnusualRules.of({{}}), past, rows, 86400.0):
        extra["unusual"] = [found.text]
    self._report = RunReport(
        request.attempt_key, self.pipe_id, "published", WRITES[self.pipe_id], "/lake",
        rows_written=rows, inputs=(InputReport(READS[self.pipe_id]),), duration_seconds=0.2,
        extra=freeze(extra),
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
    with LocalAirflow(folder / "home", dags_folder=dags, warehouse=folder / "lake") as airflow:
        airflow.api.wait_for_dag("shop")
        airflow.api.unpause("shop")
        yield Shop(airflow, rows)


def test_history_is_learnt_told_and_used(shop: Shop, tmp_path: Path) -> None:
    """One way through all of it, because each step needs the runs of the ones before."""
    # Six runs one after the other: each knows those before it.
    shop.backfill("2026-01-01", "2026-01-06", "--max-active-runs", "1")
    window = shop.window("2026-01-06", "sell")
    assert [run["at"][:10] for run in window] == [f"2026-01-0{n}" for n in range(1, 7)]
    assert {run["rows"] for run in window} == {1000}
    assert {run["interval_seconds"] for run in window} == {86_400}
    assert all(run["task_seconds"] > 0 for run in window)

    # A run of another size says so in its log and in its report.
    shop.rows.write_text('{"sell 2026-01-07": 3}')
    shop.backfill("2026-01-07", "2026-01-07")
    run_id = shop.run_of("2026-01-07")["dag_run_id"]
    text = "unusually few rows: 3; usual are 1,000 (median of 6 runs, median deviation 0.0)"
    assert text in shop.api.log("shop", run_id, "sell")
    report = shop.api.xcom("shop", run_id, "sell", "kindling_report")
    assert report["extra"]["unusual"] == [text]

    # Cleared and run again, it counts once, as it is now.
    shop.rows.write_text("{}")
    shop.close()
    shop.clear("2026-01-07", "sell")
    shop.wait()
    assert [run["rows"] for run in shop.window("2026-01-07", "sell")] == [1000] * 7

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
    assert shop.gaps("2026-01-01", "2026-01-07", 0)["gaps"] == []
    found = shop.gaps("2026-01-06", "2026-01-09", 1)
    assert [(gap["entity"], gap["slice"][:10], gap["state"]) for gap in found["gaps"]] == [
        ("orders", "2026-01-08", "missing"),
        ("orders", "2026-01-09", "missing"),
        ("sales", "2026-01-08", "missing"),
        ("sales", "2026-01-09", "missing"),
    ]


@pytest.mark.extended
def test_the_backfills_of_gaps_fill_exactly_these(shop: Shop) -> None:
    shop.close()
    shop.clear("2026-01-03", "take_x20_orders")  # what reads it is stale then
    shop.wait()
    found = shop.gaps("2026-01-02", "2026-01-09", 1)
    assert [(gap["entity"], gap["slice"][:10], gap["state"]) for gap in found["gaps"]] == [
        ("orders", "2026-01-08", "missing"),
        ("orders", "2026-01-09", "missing"),
        ("sales", "2026-01-03", "stale"),
        ("sales", "2026-01-08", "missing"),
        ("sales", "2026-01-09", "missing"),
    ]
    assert found["commands"] == [
        [
            *("airflow", "backfill", "create", "--dag-id", "shop"),
            *("--from-date", "2026-01-03", "--to-date", "2026-01-03"),
            *("--reprocess-behavior", "completed", "--dag-run-conf", '{"select": "sell"}'),
        ],
        [
            *("airflow", "backfill", "create", "--dag-id", "shop"),
            *("--from-date", "2026-01-08", "--to-date", "2026-01-09"),
            *("--dag-run-conf", '{"select": "\\"take orders\\" sell"}'),
        ],
    ]
    for command in found["commands"]:
        shop.close()
        with shop.holding_still():
            done = shop.airflow.run(*command[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        shop.wait()
    assert shop.gaps("2026-01-02", "2026-01-09", 0)["gaps"] == []
