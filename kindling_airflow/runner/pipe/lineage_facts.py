"""What others need to know of a run for its lineage: where data lie, and their columns.

It is part of the report on its way to the task, which keeps it out of Airflow's database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame

from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata, argument_name
from kindling_airflow.runner.providers.interface import ProviderContext
from kindling_airflow.runner.providers.lookup import provider_for

__all__ = ["lineage_facts"]

_MOST_COLUMNS = 1_000
_LONGEST_QUERY = 100_000


def lineage_facts(
    pipe: PipeMetadata,
    entities: DataEntityRegistry,
    context: ProviderContext,
    frames: Mapping[str, DataFrame],
    written: DataFrame,
) -> dict[str, Any]:
    """Return the inputs with their places and columns, the output's columns, and the query.

    Args:
        pipe: the pipe.
        entities: the entities.
        context: what providers need.
        frames: what was read, by the argument of each input.
        written: the rows of the output.
    """
    found: dict[str, Any] = {"inputs": {}, "columns": _columns(written)}
    for entity_id in pipe.input_entity_ids:
        entity = entities.definition_or_default(entity_id)
        described = provider_for(entity, context).describe(entity)
        frame = frames.get(argument_name(entity_id))
        found["inputs"][entity_id] = {
            "location": described.location,
            "format": described.format,
            "columns": [] if frame is None else _columns(frame),
        }
    if pipe.sql is not None and len(pipe.sql) <= _LONGEST_QUERY:
        found["sql"] = pipe.sql
    return found


def _columns(frame: DataFrame) -> list[list[str]]:
    """Return names and types; none of a table that is so wide that they would be a burden."""
    fields = frame.schema.fields
    if len(fields) > _MOST_COLUMNS:
        return []
    return [[field.name, field.dataType.simpleString()] for field in fields]
