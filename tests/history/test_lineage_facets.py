"""What a task tells Airflow's OpenLineage provider, in the provider's own classes."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.providers.openlineage.utils.utils import get_operator_class

from kindling_airflow.operators.lineage import task_lineage
from kindling_airflow.operators.pipe import KindlingPipeOperator

REPORT: dict[str, Any] = {
    "status": "published",
    "pipe_id": "gold.sales",
    "output_entity_id": "gold.sales",
    "location": "s3a://lake/gold.sales",
    "rows_written": 12,
    "inputs": [{"entity_id": "silver.orders", "rows": 100}, {"entity_id": "prices", "rows": None}],
    "error": None,
    "extra": {},
}
FACTS: dict[str, Any] = {
    "inputs": {
        "silver.orders": {
            "location": "/lake/silver.orders",
            "format": "parquet",
            "columns": [["day", "date"], ["amount", "double"]],
        },
        "prices": {"location": "memory:prices", "format": "memory", "columns": []},
    },
    "columns": [["day", "date"], ["revenue", "double"], ["n", "bigint"]],
    "sql": "SELECT day, sum(amount) AS revenue, count(*) AS n FROM silver_orders GROUP BY day",
}


def test_datasets_have_schema_and_rows_and_the_columns_that_are_known() -> None:
    found = task_lineage(REPORT, FACTS)
    (read,) = found.inputs
    assert (read.namespace, read.name) == ("file", "/lake/silver.orders")
    assert [(f.name, f.type) for f in read.facets["schema"].fields] == [
        ("day", "date"),
        ("amount", "double"),
    ]
    assert read.inputFacets["inputStatistics"].rowCount == 100
    (written,) = found.outputs
    assert (written.namespace, written.name) == ("s3://lake", "gold.sales")
    assert [f.name for f in written.facets["schema"].fields] == ["day", "revenue", "n"]
    assert written.outputFacets["outputStatistics"].rowCount == 12
    fields = written.facets["columnLineage"].fields
    assert {
        column: [(s.namespace, s.name, s.field) for s in sources.inputFields]
        for column, sources in fields.items()
    } == {
        "day": [("file", "/lake/silver.orders", "day")],
        "revenue": [("file", "/lake/silver.orders", "amount")],
    }
    assert found.job_facets["sql"].query == FACTS["sql"]
    assert found.run_facets == {}


def test_a_pipe_in_python_has_no_column_lineage() -> None:
    found = task_lineage(REPORT, {**FACTS, "sql": None})
    assert sorted(found.outputs[0].facets) == ["schema"]
    assert found.job_facets == {}


def test_a_failed_pipe_has_its_error_and_no_output() -> None:
    error = {"type": "ValueError", "message": "no", "traceback": "Traceback ..."}
    found = task_lineage({**REPORT, "status": "failed", "error": error, "location": ""}, {})
    assert (found.inputs, found.outputs) == ([], [])
    facet = found.run_facets["errorMessage"]
    assert (facet.message, facet.programmingLanguage) == ("ValueError: no", "python")
    assert facet.stackTrace == "Traceback ..."


@pytest.mark.parametrize("location", ["", "memory:x", "lake.gold.sales"])
def test_a_place_without_a_name_is_no_dataset(location: str) -> None:
    assert task_lineage({**REPORT, "location": location}, FACTS).outputs == []


def test_without_a_report_nothing_is_known() -> None:
    found = task_lineage(None, {})
    assert (found.inputs, found.outputs, found.run_facets) == ([], [], {})


def test_the_provider_asks_the_operator() -> None:
    task = KindlingPipeOperator(task_id="a", pipe_id="a", project_root="/p", modules=())
    extractor = DefaultExtractor(task)
    assert extractor.extract_on_complete(None).outputs == []
    assert extractor.extract_on_failure(None).outputs == []
    assert get_operator_class(task) is KindlingPipeOperator
