"""What a task reports to Airflow's OpenLineage provider, in the provider's own classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.providers.openlineage.extractors.base import DefaultExtractor
from airflow.providers.openlineage.utils.utils import get_operator_class, translate_airflow_asset
from airflow.sdk import Asset

from kindling_airflow.common.immutable import freeze
from kindling_airflow.operators.openlineage import lineage_is_wanted, lineage_of_report
from kindling_airflow.operators.pipe import KindlingPipeOperator
from kindling_airflow.protocol.contracts import InputReport, RunFailure, RunReport

LINEAGE: dict[str, Any] = {
    "inputs": {
        "silver.orders": {
            "location": "/lake/silver.orders",
            "format": "parquet",
            "columns": [["day", "date"], ["amount", "double"]],
        },
        "prices": {"location": "memory:prices", "format": "memory", "columns": []},
    },
    "columns": [["day", "date"], ["revenue", "double"], ["n", "bigint"], ["price", "double"]],
    "sources": {
        "day": [["silver.orders", "day"]],
        "revenue": [["silver.orders", "amount"]],
        "n": [],
        "price": [["prices", "price"]],
    },
    "sql": "SELECT ...",
}
REPORT = RunReport(
    "k",
    "gold.sales",
    "published",
    "gold.sales",
    "s3a://lake/gold.sales",
    rows_written=12,
    inputs=(InputReport("silver.orders", 100), InputReport("prices")),
    extra=freeze({"lineage": LINEAGE, "output": {"format": "parquet"}}),
)


def test_datasets_have_schema_and_rows_and_the_columns_that_are_known() -> None:
    found = lineage_of_report(REPORT)
    (read,) = found.inputs
    assert (read.namespace, read.name) == ("file", "/lake/silver.orders")
    assert [(f.name, f.type) for f in read.facets["schema"].fields] == [
        ("day", "date"),
        ("amount", "double"),
    ]
    assert read.inputFacets["inputStatistics"].rowCount == 100
    (written,) = found.outputs
    assert (written.namespace, written.name) == ("s3://lake", "gold.sales")
    assert [f.name for f in written.facets["schema"].fields] == ["day", "revenue", "n", "price"]
    assert written.outputFacets["outputStatistics"].rowCount == 12
    fields = written.facets["columnLineage"].fields
    assert {
        column: [(s.namespace, s.name, s.field) for s in sources.inputFields]
        for column, sources in fields.items()
    } == {
        "day": [("file", "/lake/silver.orders", "day")],
        "revenue": [("file", "/lake/silver.orders", "amount")],
    }
    assert found.job_facets["sql"].query == "SELECT ..."
    assert found.run_facets == {}


def test_without_lineage_in_the_report_the_output_is_known_alone() -> None:
    found = lineage_of_report(replace(REPORT, extra=freeze({})))
    assert found.inputs == []
    assert sorted(found.outputs[0].facets) == []


def test_a_table_in_a_folder_has_its_name_in_the_catalog_beside_it() -> None:
    output = {"format": "table", "folder": "s3a://lake/sales"}
    report = replace(REPORT, location="spark_catalog.gold.sales", extra=freeze({"output": output}))
    (written,) = lineage_of_report(report).outputs
    assert (written.namespace, written.name) == ("s3://lake", "sales")
    (name,) = written.facets["symlinks"].identifiers
    assert (name.namespace, name.name, name.type) == ("spark_catalog", "gold.sales", "TABLE")


def test_a_failed_pipe_has_its_error_and_no_output() -> None:
    error = RunFailure("ValueError", "no", "Traceback ...")
    found = lineage_of_report(replace(REPORT, status="failed", error=error))
    assert (found.inputs, found.outputs) == ([], [])
    facet = found.run_facets["errorMessage"]
    assert (facet.message, facet.programmingLanguage) == ("ValueError: no", "python")
    assert facet.stackTrace == "Traceback ..."


def test_a_skipped_pipe_and_a_place_without_a_name_have_no_output() -> None:
    assert lineage_of_report(replace(REPORT, status="skipped")).outputs == []
    assert lineage_of_report(replace(REPORT, location="memory:x")).outputs == []


def test_the_provider_asks_the_operator() -> None:
    task = KindlingPipeOperator(task_id="a", pipe_id="a", project_root="/p", modules=())
    extractor = DefaultExtractor(task)
    assert extractor.extract_on_complete(None) is None
    task._report = REPORT
    assert len(extractor.extract_on_complete(None).outputs) == 1
    assert get_operator_class(task) is KindlingPipeOperator


def test_a_driver_works_for_lineage_only_where_the_provider_sends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AIRFLOW__OPENLINEAGE__TRANSPORT", raising=False)
    assert not lineage_is_wanted()
    monkeypatch.setenv("AIRFLOW__OPENLINEAGE__TRANSPORT", '{"type": "console"}')
    assert lineage_is_wanted()


def test_the_provider_translates_assets_of_hadoops_stores() -> None:
    found = translate_airflow_asset(Asset("s3a://lake/tables/silver.orders"), None)
    assert (found.namespace, found.name) == ("s3://lake", "tables/silver.orders")
    assert translate_airflow_asset(Asset("warehouse/silver.orders"), None) is None
