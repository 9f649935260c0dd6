"""What a report holds for lineage: the columns of inputs and output, and which come from which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.data_pipes.checks import argument_name
from kindling_airflow.lineage.plan_columns import column_sources
from kindling_airflow.runner.pipe.inputs import Inputs
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["lineage_of"]


def lineage_of(
    pipe: PipeMetadata,
    result: DataFrame,
    inputs: Inputs,
    entities: DataEntityRegistry,
    context: ProviderContext,
) -> dict[str, Any]:
    """Return the lineage of a result, of JSON types.

    ``inputs``: by entity id its place, ``columns`` (names and types) and details. ``columns``:
    those of the result. ``sources``: by column of the result, ``[entity, column]`` of those it
    comes from, where they are known. ``sql``: the query, if the pipe is one.
    Nothing is computed: Spark has analyzed the plan before.
    """
    frames = {
        entity_id: inputs.frames[argument_name(entity_id)]
        for entity_id in pipe.input_entity_ids
        if entity_id not in inputs.missing and argument_name(entity_id) in inputs.frames
    }
    read: dict[str, Any] = {}
    for entity_id, frame in frames.items():
        entity = entities.definition_or_default(entity_id)
        description = provider_for(entity, context).describe(entity)
        read[entity_id] = {**description.to_json(), "columns": _columns(frame)}
    sources = column_sources(_plan(result), {e: _plan(frame) for e, frame in frames.items()})
    query = {} if pipe.sql is None else {"sql": pipe.sql}
    return {
        **query,
        "inputs": read,
        "columns": _columns(result),
        "sources": {name: [list(source) for source in found] for name, found in sources.items()},
    }


def _columns(frame: DataFrame) -> list[list[str]]:
    return [[field.name, field.dataType.simpleString()] for field in frame.schema.fields]


def _plan(frame: DataFrame) -> str:
    java: Any = frame.select("*")
    return str(java._jdf.queryExecution().analyzed().toJSON())
