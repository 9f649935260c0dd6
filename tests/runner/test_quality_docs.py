"""What the page about quality checks shows is what happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from kindling_airflow.manifest.harvest import (
    HarvestedModules,
    harvest,
    import_declarations,
    isolated_imports,
)
from tests.docs.pages import DOCS, blocks
from tests.runner.conftest import Project

pytestmark = pytest.mark.system

EXAMPLE = DOCS / "examples" / "quality_checks"
PAGE = DOCS / "how-to" / "quality-checks.md"

ORDERS = """
    SELECT {key} AS id, 'open' AS status, CAST({amount} AS DOUBLE) AS amount,
        DATE'2026-03-02' AS ordered_on, {shipped} AS shipped_on
    FROM range(20)
"""


@pytest.fixture(scope="module")
def declared() -> Iterator[HarvestedModules]:
    with isolated_imports(EXAMPLE):  # other pages have a module of this name, too
        yield import_declarations(EXAMPLE, ["shop_pipeline"])


@pytest.fixture
def shop(project: Project, declared: HarvestedModules) -> Project:
    return replace(project, declared=declared)


def put(shop: Project, **columns: str) -> None:
    said = {"key": "id", "amount": "id", "shipped": "CAST(null AS DATE)", **columns}
    rows = shop.spark.sql(ORDERS.format(**said))
    rows.write.mode("overwrite").parquet(str(shop.table("raw.orders")))


def test_the_refusal_is_that_of_the_page(shop: Project) -> None:
    put(
        shop,
        key="if(id = 19, 18, id)",
        shipped="if(id < 2, DATE'2026-03-01', CAST(null AS DATE))",
    )
    error = shop.run("silver.orders").error
    assert error is not None
    warehouse = str(shop.warehouse)
    told = error.message.replace(warehouse, ".../warehouse")
    start, path, end = told.partition("staging/silver.orders/")[0], "staging/silver.orders/", "'\n"
    told = f"{start}{path}...{end}{told.rpartition(end)[2]}"
    (shown,) = [text for text in blocks(PAGE, "text") if "violates" in text]
    assert told == shown.strip()


def test_the_report_is_that_of_the_page(shop: Project) -> None:
    put(shop, amount="if(id < 3, -1, id)")
    report = shop.run("silver.orders")
    assert report.status == "published", report.error
    (shown,) = blocks(PAGE, "json")
    entries = {entry.name: asdict(entry) for entry in report.expectations}
    assert entries["in_range(amount)"] == json.loads(shown)
    assert [e.outcome for e in report.expectations].count("passed") == 5


def test_the_manifest_carries_the_promises_of_the_page() -> None:
    manifest = harvest(Path(EXAMPLE), ["shop_pipeline"])
    pipe = manifest.get_pipe_definition("silver.orders")
    assert pipe is not None
    assert len(pipe.expectations) == 6
