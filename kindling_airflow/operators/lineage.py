"""OpenLineage facets of a pipe's task, for the interface of Airflow's OpenLineage provider.

Nothing here is imported unless that provider asks: it is an optional package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    error_message_run,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    sql_job,
)

from kindling_airflow.common.lineage_names import dataset_name
from kindling_airflow.data_pipes import argument_name
from kindling_airflow.data_pipes.column_lineage import column_sources

__all__ = ["task_lineage"]


def task_lineage(report: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> Any:
    """Return what a report and its facts say about the lineage of a task.

    Args:
        report: the report as a JSON document; None: there is none, so nothing is known.
        facts: ``extra.lineage`` of the report as the driver has sent it.
    """
    if report is None:
        return OperatorLineage()
    described: Mapping[str, Mapping[str, Any]] = facts.get("inputs") or {}
    sql = facts.get("sql")
    error = report.get("error")
    return OperatorLineage(
        inputs=list(_inputs(report, described)),
        outputs=list(_outputs(report, described, facts)),
        job_facets={"sql": sql_job.SQLJobFacet(query=sql)} if sql else {},
        run_facets={} if not error else {"errorMessage": _error(error)},
    )


def _error(error: Mapping[str, Any]) -> Any:
    return error_message_run.ErrorMessageRunFacet(
        message=f"{error['type']}: {error['message']}",
        programmingLanguage="python",
        stackTrace=error.get("traceback") or None,
    )


def _inputs(
    report: Mapping[str, Any], described: Mapping[str, Mapping[str, Any]]
) -> Iterable[InputDataset]:
    rows = {item["entity_id"]: item["rows"] for item in report.get("inputs") or ()}
    for entity_id, found in described.items():
        name = dataset_name(found["location"])
        if name is None:
            continue
        count = rows.get(entity_id)
        statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet
        yield InputDataset(
            *name,
            facets=_schema(found["columns"]),
            inputFacets={} if count is None else {"inputStatistics": statistics(rowCount=count)},
        )


def _outputs(
    report: Mapping[str, Any],
    described: Mapping[str, Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> Iterable[OutputDataset]:
    name = dataset_name(str(report.get("location") or ""))
    if name is None or report.get("status") != "published":
        return
    columns = facts.get("columns") or []
    facets = _schema(columns)
    fields = _column_lineage([column for column, _ in columns], described, facts.get("sql"))
    if fields:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    yield OutputDataset(
        *name,
        facets=facets,
        outputFacets={"outputStatistics": statistics(rowCount=report.get("rows_written"))},
    )


def _schema(columns: Iterable[tuple[str, str]]) -> dict[str, Any]:
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name=name, type=kind) for name, kind in columns
    ]
    return {"schema": schema_dataset.SchemaDatasetFacet(fields=fields)} if fields else {}


def _column_lineage(
    columns: list[str], described: Mapping[str, Mapping[str, Any]], sql: str | None
) -> dict[str, Any]:
    """Return the sources of the columns of which all sources are known."""
    if not sql:
        return {}
    tables: dict[str, list[str]] = {}
    names: dict[str, tuple[str, str]] = {}
    for entity_id, found in described.items():
        dataset = dataset_name(found["location"])
        for table in (entity_id.lower(), argument_name(entity_id).lower()):
            tables[table] = [column for column, _ in found["columns"]]
            if dataset is not None:
                names[table] = dataset
    return {
        column: column_lineage_dataset.Fields(
            inputFields=[
                column_lineage_dataset.InputField(*names[table], field=field)
                for table, field in sources
            ]
        )
        for column, sources in column_sources(sql, columns, tables).items()
        if all(table in names for table, _ in sources)
    }
