"""Reads a JSON list of records: pipes and entities that are declared without Python.

    [{"entityid": "raw", "tags": {"provider_type": "csv"}},
     {"pipeid": "clean", "input_entity_ids": ["raw"], "output_entity_id": "clean"},
     {"pipeid": "late", "sql": "SELECT * FROM clean", "output_entity_id": "late"}]

A record has the fields of a declaration except the function; with ``entityid`` it is an entity,
else a pipe. The inputs of a query are derived from it by default, as in a project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import FROM_QUERY, DataPipesRegistry
from kindling_airflow.data_pipes.registry import read_query
from kindling_airflow.data_pipes.sql_inputs import check_queries
from kindling_airflow.errors import DeclarationError
from kindling_airflow.manifest import ENTITY_FIELDS, PIPE_FIELDS, Manifest
from kindling_airflow.tags.column_checks import declared_columns

_PIPE_FIELDS = (*PIPE_FIELDS, "expectations", "sql", "sql_file")


def manifest_of_records(path: Path, records: Sequence[Any]) -> Manifest:
    """Return the manifest of a list of records.

    Args:
        path: their file; paths of query files are relative to its folder.
        records: the list.

    Raises:
        DeclarationError: lists the problems of all records; queries are checked if there are none.
    """
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    problems: list[str] = []
    first: dict[tuple[str, object], int] = {}
    for n, record in enumerate(records):
        where = f"{path}: record {n}"
        if not isinstance(record, Mapping):
            problems.append(f"{where}: must be an object, not {record!r}")
            continue
        problems += [f"{where}: {problem}" for problem in _unknown_keys(record)]
        kind, id_field, _ = _kind(record)
        own_id = record.get(id_field)
        if isinstance(own_id, str) and (other := first.setdefault((kind, own_id), n)) != n:
            problems.append(f"{where}: {kind} {own_id!r} is already declared by record {other}")
            continue
        try:
            _declare(path, record, pipes, entities)
        except DeclarationError as error:
            problems += [f"{where}: {problem}" for problem in error.problems]
    if problems:
        raise DeclarationError(problems)
    try:
        check_queries(pipes, entities.get_entity_ids(), declared_columns(entities))
    except DeclarationError as error:
        raise DeclarationError(f"{path}: {problem}" for problem in error.problems) from error
    return Manifest.from_registries(pipes, entities)


def _kind(record: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    """Return what a record declares, the key of its id, and its valid keys."""
    if "entityid" in record:
        return "entity", "entityid", ENTITY_FIELDS
    return "pipe", "pipeid", _PIPE_FIELDS


def _unknown_keys(record: Mapping[str, Any]) -> list[str]:
    kind, id_field, fields = _kind(record)
    return [
        f"{kind} {record.get(id_field)!r}: unknown key {key!r}."
        + (did_you_mean(key, fields) or f" Known keys: {', '.join(fields)}.")
        for key in record
        if key not in fields
    ]


def _declare(
    path: Path, record: Mapping[str, Any], pipes: DataPipesRegistry, entities: DataEntityRegistry
) -> None:
    """Declare the valid fields of a record.

    Raises:
        DeclarationError: a value is invalid.
    """
    kind, id_field, fields = _kind(record)
    given: dict[str, Any] = {
        id_field: None,
        **{key: record[key] for key in fields if key in record},
    }
    if kind == "entity":
        entities.register_entity(**given)
        return
    sql, sql_file = given.get("sql"), given.get("sql_file")
    if sql is not None or sql_file is not None:
        query, _ = read_query(given["pipeid"], {"__file__": str(path)}, sql, sql_file)
        given = {"input_entity_ids": FROM_QUERY, **given, "sql": query}
    pipes.register_pipe(**given)
