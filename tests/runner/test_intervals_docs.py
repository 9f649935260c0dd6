"""What the page about intervals shows is what happens."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kindling_airflow.manifest.harvest import import_declarations
from kindling_airflow.tags.plan_checks import check_entities
from tests.docs.pages import DOCS
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

EXAMPLE = DOCS / "examples" / "intervals"


def day(n: int) -> dict[str, Any]:
    return {
        "run_id": f"day{n}",
        "interval_start": f"2026-03-{n:02}T00:00:00+00:00",
        "interval_end": f"2026-03-{n + 1:02}T00:00:00+00:00",
    }


def test_the_example_does_what_it_says(project: Project) -> None:
    declared = import_declarations(EXAMPLE, ["daily_orders"])
    ids = declared.pipes.get_pipe_ids()
    check_entities(filter(None, map(declared.pipes.get_pipe_definition, ids)), declared.entities)
    shop = replace(project, declared=declared)
    rows = [
        {"id": 10 * n + k, "ordered_on": f"2026-03-{n:02}", "amount": float(k)}
        for n in (1, 2, 3)
        for k in (0, 1, 2)
    ]
    shop.table("raw.orders").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    for n in (2, 1, 3, 2):
        for pipe in ids:
            report = shop.run(pipe, **day(n))
            assert report.error is None, report.error
    read = shop.spark.read
    silver = read.parquet(str(shop.table("silver.orders"))).select("id").collect()
    assert sorted(row.id for row in silver) == [11, 12, 21, 22, 31, 32]
    weeks = read.parquet(str(shop.table("gold.weeks"))).select("day", "amount").collect()
    assert sorted((row.day.day, row.amount) for row in weeks) == [(1, 3.0), (2, 6.0), (3, 9.0)]
    for log in ("log.orders", "log.amounts"):
        found = read.parquet(str(shop.table(log))).select("id").collect()
        assert sorted(row.id for row in found) == [row["id"] for row in rows]
