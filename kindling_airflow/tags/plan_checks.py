"""Checks the entities of a plan, and tags for secrets, when the plan is compiled.

check_entities(plan's pipes, entities)       tags, types, places: wherever the plan runs
memory_problems(plan's pipes, entities)      what only fits one session: for a DAG
connections_of(pipe, entities)               which Airflow connections a pipe's driver needs
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kindling_airflow.common.redaction import is_secret_key, text_has_secret
from kindling_airflow.common.variables import variable_problem
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.column_checks import pipe_column_problems, schema_problems
from kindling_airflow.tags.entity_checks import WRITE_THE_VALUE, entity_tag_problems
from kindling_airflow.tags.interval_checks import pipe_interval_problems
from kindling_airflow.tags.names import CHECKPOINT_TAG, CONNECTION_TAG, OPTION_TAGS, URL_TAG
from kindling_airflow.tags.places import place_problems
from kindling_airflow.tags.storage_types import provider_type_of, storage_type_of
from kindling_airflow.tags.unknown_tags import unknown_tag_problems
from kindling_airflow.tags.unusual import unusual_problems

__all__ = ["check_entities", "connections_of", "memory_problems"]

# Custom tags may have any name, but these are never anything else.
_PASSWORD = re.compile(r"(?i)(passw(or)?d|passphrase|pwd|(api|access|secret|private)[._-]?key)$")


def check_entities(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    warehouse: str | None = None,
    resolve: Callable[[str], str] = lambda path: path,
) -> None:
    """Check the entities that pipes touch; undeclared ones are plain parquet tables.

    Args:
        pipes: the pipes of a plan.
        entities: the declarations.
        warehouse: the root of relative paths, as far as it is known.
        resolve: makes a path of this machine plain, symbolic links among it.

    Raises:
        DeclarationError: unknown types and tags, schemas that Spark cannot read or that lack a
            named column, sources that a pipe writes, a place that is written under one id and used
            under another, slices and watermarks that cannot be; lists every problem.
    """
    pipes = tuple(pipes)
    touched = dict.fromkeys(
        entity_id for pipe in pipes for entity_id in (*pipe.input_entity_ids, pipe.output_entity_id)
    )
    problems: list[str] = []
    for entity in filter(None, map(entities.get_entity_definition, touched)):
        problems += entity_tag_problems(entity)
        problems += schema_problems(entity)
        checked = (URL_TAG,) if provider_type_of(entity) == "jdbc" else ()
        problems += _secret_problems(f"entity {entity.entityid!r}", entity.tags, checked)
    for pipe in pipes:
        where = f"pipe {pipe.pipeid!r}"
        if pipe.tags:
            problems += [f"{where}: {text}" for text in unknown_tag_problems("pipe", pipe.tags)]
            problems += _secret_problems(where, pipe.tags)
            if text := variable_problem(pipe.tags.get(CHECKPOINT_TAG)):
                problems.append(f"{where}: tag {CHECKPOINT_TAG}: {text}\n  Fix: {WRITE_THE_VALUE}.")
        problems += unusual_problems(pipe)
        problems += pipe_interval_problems(pipe, entities)
        problems += pipe_column_problems(pipe, entities)
    problems += _written_sources(pipes, entities)
    problems += place_problems(pipes, entities, warehouse, resolve)
    if problems:
        raise DeclarationError(problems)


def memory_problems(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> list[str]:
    """Return which pipes could not run as tasks of a DAG, because a table would not outlive one."""
    return [
        f"pipe {pipe.pipeid!r} {verb} entity {entity_id!r}, whose provider_type 'memory' is bound "
        "to one Spark session: every task has its own session, which ends with it\n"
        "  Fix: store the entity (provider_type: parquet, the default), or run the plan on one "
        "session with 'kindling-airflow run'."
        for pipe in pipes
        for verb, ids in (("reads", pipe.input_entity_ids), ("writes", (pipe.output_entity_id,)))
        for entity_id in ids
        if (entity := entities.get_entity_definition(entity_id)) is not None
        and provider_type_of(entity) == "memory"
    ]


def connections_of(pipe: PipeMetadata | None, entities: DataEntityRegistry) -> tuple[str, ...]:
    """Return the ids of the Airflow connections that a pipe's entities name, sorted."""
    if pipe is None:
        return ()
    named = {
        str(entity.tags[CONNECTION_TAG])
        for entity_id in (*pipe.input_entity_ids, pipe.output_entity_id)
        if (entity := entities.get_entity_definition(entity_id)) is not None
        and CONNECTION_TAG in entity.tags
    }
    return tuple(sorted(named))


def _secret_problems(
    where: str, tags: Mapping[str, Any], checked_elsewhere: tuple[str, ...] = ()
) -> Iterator[str]:
    """Yield the tags in whose values a secret stands, without the values."""
    for key, value in tags.items():
        if key in checked_elsewhere:
            continue
        named = _PASSWORD.search(key) is not None and not key.startswith(OPTION_TAGS)
        if (named and isinstance(value, str) and value) or _holds_secret(value):
            yield (
                f"{where}: tag {key!r} holds a secret, and tags are stored in the manifest\n"
                f"  Fix: keep it in an Airflow connection, and name that: {CONNECTION_TAG}: "
                "my_connection; or set it in 'spark.conf' of the definition by a template, "
                '"{{ conn.my_connection.password }}".'
            )


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(
            _holds_secret(item) or (is_secret_key(key) and isinstance(item, str) and item)
            for key, item in value.items()
        )
    if isinstance(value, (list, tuple)):
        return any(map(_holds_secret, value))
    return text_has_secret(value)


def _written_sources(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> Iterator[str]:
    for pipe in pipes:
        entity = entities.definition_or_default(pipe.output_entity_id)
        known = storage_type_of(entity)
        if known is not None and not known.is_written:
            yield (
                f"pipe {pipe.pipeid!r} writes entity {pipe.output_entity_id!r}, but "
                f"{provider_type_of(entity)} entities are sources\n"
                "  Fix: let it write a parquet entity (provider_type: parquet, the default)."
            )
