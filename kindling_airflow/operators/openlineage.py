"""OpenLineage's facets of a report, and datasets of assets, for Airflow's OpenLineage provider.

The provider is optional: its classes are imported where it calls, and drivers do the work for it
only where it is installed and enabled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from kindling_airflow.lineage.datasets import dataset_name
from kindling_airflow.protocol.contracts import RunReport

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.event_v2 import Dataset

__all__ = ["dataset_of_asset", "lineage_is_wanted", "lineage_of_report"]

_PROVIDER = "airflow.providers.openlineage"
_Names = Mapping[str, tuple[str, str]]  # datasets by entity


def lineage_is_wanted() -> bool:
    """Return whether Airflow's OpenLineage provider is installed and sends events."""
    try:
        if find_spec(_PROVIDER) is None:
            return False
    except ImportError:  # none of Airflow's providers is installed
        return False
    from airflow.providers.openlineage.conf import is_disabled

    return not is_disabled()


def dataset_of_asset(asset: Any, lineage_context: Any) -> Dataset | None:  # noqa: ARG001
    """Return the dataset of an asset whose URI has one of the schemes of Hadoop's stores."""
    from openlineage.client.event_v2 import Dataset

    name = dataset_name(asset.uri)
    return None if name is None else Dataset(*name)


def lineage_of_report(report: RunReport) -> OperatorLineage[Any, Any]:
    """Return the datasets that a pipe has read and written, with what its report knows of them.

    An output has its columns, their sources as far as they are known, and its number of rows; an
    input has its columns and, where they were counted, its rows; the job has the query, if the pipe
    is one; a run that failed has its error, and no datasets.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client.facet_v2 import error_message_run, sql_job

    if report.error is not None:
        failure = error_message_run.ErrorMessageRunFacet(
            message=f"{report.error.type}: {report.error.message}",
            programmingLanguage="python",
            stackTrace=report.error.traceback or None,
        )
        return OperatorLineage(run_facets={"errorMessage": failure})
    if report.status != "published":
        return OperatorLineage()
    lineage: Mapping[str, Any] = report.extra.get("lineage") or {}
    names, sql = _names(lineage), lineage.get("sql")
    return OperatorLineage(
        inputs=_inputs(report, lineage, names),
        outputs=_outputs(report, lineage, names),
        job_facets={"sql": sql_job.SQLJobFacet(query=sql)} if sql else {},
    )


def _inputs(report: RunReport, lineage: Mapping[str, Any], names: _Names) -> list[Any]:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    rows = {item.entity_id: item.rows for item in report.inputs}
    found = []
    for entity, name in names.items():
        read = lineage["inputs"][entity]
        counted = statistics.InputStatisticsInputDatasetFacet(rowCount=rows.get(entity))
        facets: dict[str, Any] = {} if rows.get(entity) is None else {"inputStatistics": counted}
        found.append(InputDataset(*name, facets=_facets(read["columns"], read), inputFacets=facets))
    return found


def _outputs(report: RunReport, lineage: Mapping[str, Any], names: _Names) -> list[Any]:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    details: Mapping[str, Any] = report.extra.get("output") or {}
    name = dataset_name(report.location, details)
    if name is None:
        return []
    facets = _facets(lineage.get("columns", ()), {"location": report.location, **details})
    counted = statistics.OutputStatisticsOutputDatasetFacet(rowCount=report.rows_written)
    return [
        OutputDataset(
            *name,
            facets=facets | _column_lineage(lineage, names),
            outputFacets={} if report.rows_written is None else {"outputStatistics": counted},
        )
    ]


def _names(lineage: Mapping[str, Any]) -> _Names:
    """Return the datasets of the inputs that have names, by entity."""
    found = {
        entity: dataset_name(str(read["location"]), read)
        for entity, read in lineage.get("inputs", {}).items()
    }
    return {entity: name for entity, name in found.items() if name is not None}


def _column_lineage(lineage: Mapping[str, Any], names: _Names) -> dict[str, Any]:
    """Return the sources of the columns of which every source has a name."""
    from openlineage.client.facet_v2 import column_lineage_dataset as columns

    fields = {
        column: columns.Fields(
            inputFields=[columns.InputField(*names[entity], field=name) for entity, name in sources]
        )
        for column, sources in lineage.get("sources", {}).items()
        if sources and all(entity in names for entity, _ in sources)
    }
    facet = columns.ColumnLineageDatasetFacet(fields=fields)
    return {"columnLineage": facet} if fields else {}


def _facets(columns: Sequence[Sequence[str]], details: Mapping[str, Any]) -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset, symlinks_dataset

    facets: dict[str, Any] = {}
    if columns:
        fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in columns]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    location = str(details.get("location", ""))
    if details.get("folder") and "/" not in location:  # a catalog's name of the table in the folder
        catalog, _, name = location.partition(".")
        table = symlinks_dataset.Identifier(namespace=catalog, name=name or catalog, type="TABLE")
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(identifiers=[table])
    return facets
