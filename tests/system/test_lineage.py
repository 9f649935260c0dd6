"""OpenLineage events of a real run: datasets, columns, and which columns they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from demo.local_airflow import LocalAirflow
from tests.system.conftest import PROFILES

pytestmark = pytest.mark.system

PIPES = """\
from kindling_airflow import DataPipes


@DataPipes.pipe("orders", input_entity_ids=[], output_entity_id="orders")
def orders(run):
    return run.spark.sql("SELECT id, id % 3 AS shop, id * 2.5D AS price FROM range(10)")


@DataPipes.pipe("totals", input_entity_ids=["orders"], output_entity_id="totals")
def totals(orders):
    from pyspark.sql import functions as F

    priced = orders.withColumn("gross", F.col("price") * 1.2)
    return priced.groupBy("shop").agg(F.sum("gross").alias("gross"), F.lit("EUR").alias("unit"))
"""
QUERY = """\
SELECT t.shop, o.id AS order_id, o.price / t.gross AS share
FROM totals t JOIN orders o ON o.shop = t.shop
"""
DAG_FILE = """\
# An Airflow DAG file.
from kindling_airflow.dag_factory import load_dags

globals().update(load_dags(__file__))
"""


@pytest.fixture(scope="module")
def events(
    tmp_path_factory: pytest.TempPathFactory, spark_profile: str
) -> dict[str, dict[str, Any]]:
    """The last event of each task, by its name."""
    place = tmp_path_factory.mktemp("lineage")
    project = place / "dags" / "shop"
    project.mkdir(parents=True)
    (project / "pipes.py").write_text(
        PIPES + "\n\nDataPipes.view('shares',\n" + f"    sql={QUERY!r})\n"
    )
    (place / "dags" / "shop.kindling.yaml").write_text("dag_id: shop\nproject: shop\n")
    (place / "dags" / "kindling_dags.py").write_text(DAG_FILE)
    written = place / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(written), "append": True}
    airflow = LocalAirflow(
        place / "airflow",
        dags_folder=place / "dags",
        warehouse=place / "warehouse",
        profile=PROFILES,
        environment={"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport)},
    )
    with airflow:
        airflow.api.wait_for_dag("shop")
        airflow.api.unpause("shop")
        airflow.api.trigger("shop", "one")
        assert airflow.api.wait_for_run("shop", "one", 600.0) == "success"
    found: dict[str, dict[str, Any]] = {}
    for line in written.read_text("utf-8").splitlines():
        event = json.loads(line)
        if event["eventType"] == "COMPLETE":
            found[event["job"]["name"].rpartition(".")[2]] = event
    found["warehouse"] = {"path": str(place / "warehouse")}
    return found


def columns_of(dataset: dict[str, Any]) -> list[tuple[str, str]]:
    return [(field["name"], field["type"]) for field in dataset["facets"]["schema"]["fields"]]


def sources_of(dataset: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    fields = dataset["facets"]["columnLineage"]["fields"]
    return {
        name: [(Path(item["name"]).name, item["field"]) for item in found["inputFields"]]
        for name, found in fields.items()
    }


def test_an_event_names_the_tables_with_their_columns_and_rows(
    events: dict[str, dict[str, Any]],
) -> None:
    event, root = events["totals"], events["warehouse"]["path"]
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (read["namespace"], read["name"]) == ("file", f"{root}/orders")
    assert (written["namespace"], written["name"]) == ("file", f"{root}/totals")
    assert columns_of(read) == [("id", "bigint"), ("shop", "bigint"), ("price", "double")]
    assert columns_of(written) == [("shop", "bigint"), ("gross", "double"), ("unit", "string")]
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 3


def test_columns_of_a_python_pipe_are_traced_to_those_of_its_inputs(
    events: dict[str, dict[str, Any]],
) -> None:
    (written,) = events["totals"]["outputs"]
    assert sources_of(written) == {
        "shop": [("orders", "shop")],
        "gross": [("orders", "price")],
    }


def test_columns_of_a_query_are_traced_to_those_of_its_tables(
    events: dict[str, dict[str, Any]],
) -> None:
    (written,) = events["shares"]["outputs"]
    assert sources_of(written) == {
        "shop": [("totals", "shop")],
        "order_id": [("orders", "id")],
        "share": [("orders", "price"), ("totals", "gross")],
    }


def test_a_pipe_without_inputs_has_its_output_alone(events: dict[str, dict[str, Any]]) -> None:
    event = events["orders"]
    assert event.get("inputs", []) == []
    (written,) = event["outputs"]
    assert "columnLineage" not in written["facets"]
    assert columns_of(written)[0] == ("id", "bigint")
