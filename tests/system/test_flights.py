"""The main job: the sample project through the real scheduler, against an independent oracle."""

from __future__ import annotations

import pytest

from tests.oracle.compare import differences
from tests.oracle.flights_oracle import TABLES, expected_tables
from tests.system.conftest import Deployment

pytestmark = pytest.mark.system
RUN = "main-job"


@pytest.fixture(scope="module")
def run(deployment: Deployment) -> Deployment:
    deployment.succeed("flights", RUN)
    return deployment


def test_every_pipe_is_a_task_that_succeeded(run: Deployment) -> None:
    assert run.states("flights", RUN) == dict.fromkeys(TABLES, "success")


def test_every_table_is_what_another_engine_computes(run: Deployment) -> None:
    database = expected_tables(run.warehouse / "landing")
    found = {
        table: differences(run.warehouse / table, database.table(f'"{table}"')) for table in TABLES
    }
    assert found == {table: [] for table in TABLES}


def test_every_task_reports_its_rows(run: Deployment) -> None:
    database = expected_tables(run.warehouse / "landing")
    reports = {
        table: run.airflow.api.xcom("flights", RUN, table, "kindling_report") for table in TABLES
    }
    rows = {table: report["rows_written"] for table, report in reports.items()}
    counted = {
        table: database.execute(f'SELECT count(*) FROM "{table}"').fetchall()[0][0]
        for table in TABLES
    }
    assert rows == counted
    enriched = reports["silver.flights_enriched"]
    assert enriched["inputs"] == [
        {"entity_id": table, "rows": counted[table]}
        for table in (
            "silver.flights",
            "silver.weather",
            "silver.planes",
            "bronze.airports",
            "bronze.airlines",
        )
    ]
    assert enriched["duration_seconds"] > 0
    assert enriched["application_id"].startswith("local-")
    assert enriched["location"] == str(run.warehouse / "silver.flights_enriched")


def test_the_missing_pool_was_created_with_the_width_of_the_definition(run: Deployment) -> None:
    pool = run.airflow.api.pools()["kindling_flights"]
    assert (pool["slots"], pool["include_deferred"]) == (2, True)


def test_nothing_is_left_in_the_staging_area(run: Deployment) -> None:
    area = run.warehouse / "_kindling"
    left = [path.relative_to(area) for path in area.rglob("*") if path.is_file()]
    # Claims stand for drivers that other tests have killed, and so does what is staged for these.
    killed = (("claims",), ("staging", "truth.killed"))
    assert [path for path in left if not any(path.parts[: len(k)] == k for k in killed)] == []


def test_provider_and_plugin_are_installed(deployment: Deployment) -> None:
    providers = deployment.airflow.run("providers", "list", "-o", "plain").stdout
    assert "airflow-provider-kindling" in providers
    plugins = deployment.airflow.run("plugins", "-o", "plain").stdout
    assert "kindling" in plugins
