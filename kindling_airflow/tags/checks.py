"""What is wrong with the entities of a plan, found when it is compiled.

check_entities(plan's pipes, entities)       tags, types, places: wherever the plan runs
memory_problems(plan's pipes, entities)      what only fits one session: for a DAG
connections_of(pipe, entities)               which Airflow connections a pipe's driver needs
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kindling_airflow.common.variables import variable_problem
from kindling_airflow.data_entities import DataEntityRegistry
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.tags.column_checks import pipe_column_problems, schema_problems
from kindling_airflow.tags.interval_checks import pipe_interval_problems
from kindling_airflow.tags.places import place_problems
from kindling_airflow.tags.secret_tags import secret_tag_problems
from kindling_airflow.tags.storage_types import (
    BUILT_IN_TYPES,
    CONNECTION_TAG,
    provider_type_of,
    tag_problems_of,
)
from kindling_airflow.tags.unknown_tags import word_problems

__all__ = ["check_entities", "connections_of", "memory_problems"]

_CHECKPOINT_TAG = "stream.checkpoint"


def check_entities(
    pipes: Iterable[PipeMetadata],
    entities: DataEntityRegistry,
    warehouse: str | None = None,
    resolve: Callable[[str], str] = lambda path: path,
) -> None:
    """Check the entities that pipes touch; those that nobody declares are plain parquet tables.

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
    problems = [
        problem
        for entity_id in touched
        if (entity := entities.get_entity_definition(entity_id)) is not None
        for problem in (*tag_problems_of(entity), *schema_problems(entity))
    ]
    problems += [
        f"pipe {pipe.pipeid!r}: {text}"
        for pipe in pipes
        if pipe.tags
        for text in (*word_problems("pipe", pipe.tags), *_variables_of(pipe))
    ]
    problems += secret_tag_problems(
        pipes, filter(None, map(entities.get_entity_definition, touched))
    )
    problems += [text for pipe in pipes for text in pipe_interval_problems(pipe, entities)]
    problems += [text for pipe in pipes for text in pipe_column_problems(pipe, entities)]
    problems += _written_sources(pipes, entities)
    problems += place_problems(pipes, entities, warehouse, resolve)
    if problems:
        raise DeclarationError(problems)


def memory_problems(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> list[str]:
    """Return which pipes could not run as tasks of a DAG, because a table would not outlive one."""
    return [
        f"pipe {pipe.pipeid!r} {verb} entity {entity_id!r}, whose provider_type 'memory' lives in "
        "one Spark session: every task has a session of its own, which ends with it\n"
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


def _variables_of(pipe: PipeMetadata) -> Iterator[str]:
    text = variable_problem(pipe.tags.get(_CHECKPOINT_TAG))
    if text is not None:
        yield (
            f"tag {_CHECKPOINT_TAG}: {text}\n"
            "  Fix: write the value; what differs between deployments goes into a file of settings."
        )


def _written_sources(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> Iterator[str]:
    for pipe in pipes:
        entity = entities.get_entity_definition(pipe.output_entity_id)
        kind = "parquet" if entity is None else provider_type_of(entity)
        if kind in BUILT_IN_TYPES and not BUILT_IN_TYPES[kind].is_written:
            yield (
                f"pipe {pipe.pipeid!r} writes entity {pipe.output_entity_id!r}, but {kind} "
                "entities are sources\n"
                "  Fix: let it write a parquet entity (provider_type: parquet, the default)."
            )
