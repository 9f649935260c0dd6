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


def lineage_is_wanted() -> bool:
    """Return whether Airflow's OpenLineage provider is installed and sends events."""
    try:
        if find_spec(_PROVIDER) is None:
            return False
    except ImportError:  # none of Airflow's providers is installed
        return False
    from airflow.providers.openlineage.conf import is_disabled

    return not is_disabled()


def dataset_of_asset(asset: Any, lineage_context: Any) -> Dataset:  # noqa: ARG001 (interface)
    """Return the dataset of an asset whose URI has one of the schemes of Hadoop's stores."""
    from openlineage.client.event_v2 import Dataset

    return Dataset(*dataset_name(asset.uri))


def lineage_of_report(report: RunReport) -> OperatorLineage[Any, Any]:
    """Return the datasets that a pipe has read and written, with what its report knows of them.

    An output has its columns, their sources as far as they are known, and its number of rows; an
    input has its columns and, where they were counted, its rows. A run that published nothing has
    no datasets, and the provider takes the task's assets.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage

    if report.status != "published":
        return OperatorLineage()
    lineage: Mapping[str, Any] = report.extra.get("lineage") or {}
    names = {
        entity: dataset_name(str(read["location"]), read)
        for entity, read in lineage.get("inputs", {}).items()
    }
    return OperatorLineage(
        inputs=_inputs(report, lineage, names), outputs=[_output(report, lineage, names)]
    )


def _inputs(
    report: RunReport, lineage: Mapping[str, Any], names: Mapping[str, tuple[str, str]]
) -> list[Any]:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    rows = {item.entity_id: item.rows for item in report.inputs}
    return [
        InputDataset(
            *names[entity],
            facets=_table_facets(read["columns"], str(read["location"]), read),
            inputFacets={}
            if rows.get(entity) is None
            else {
                "inputStatistics": statistics.InputStatisticsInputDatasetFacet(
                    rowCount=rows[entity]
                )
            },
        )
        for entity, read in lineage.get("inputs", {}).items()
    ]


def _output(
    report: RunReport, lineage: Mapping[str, Any], names: Mapping[str, tuple[str, str]]
) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import column_lineage_dataset as columns
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    details: Mapping[str, Any] = report.extra.get("output") or {}
    facets = _table_facets(lineage.get("columns", ()), report.location, details)
    fields = {
        column: columns.Fields(
            inputFields=[
                columns.InputField(*names[entity], field=name)
                for entity, name in sources
                if entity in names
            ]
        )
        for column, sources in lineage.get("sources", {}).items()
        if sources
    }
    if fields:
        facets["columnLineage"] = columns.ColumnLineageDatasetFacet(fields=fields)
    counted = statistics.OutputStatisticsOutputDatasetFacet(rowCount=report.rows_written)
    return OutputDataset(
        *dataset_name(report.location, details),
        facets=facets,
        outputFacets={} if report.rows_written is None else {"outputStatistics": counted},
    )


def _table_facets(
    columns: Sequence[Sequence[str]], location: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset, symlinks_dataset

    facets: dict[str, Any] = {}
    if columns:
        fields = [schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in columns]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
    if details.get("folder") and "/" not in location:  # a catalog's name of the table in the folder
        catalog, _, name = location.partition(".")
        table = symlinks_dataset.Identifier(namespace=catalog, name=name or catalog, type="TABLE")
        facets["symlinks"] = symlinks_dataset.SymlinksDatasetFacet(identifiers=[table])
    return facets
