"""What is wrong with the entities of a plan, found when it is compiled.

check_entities(plan's pipes, entities)       tags, types, places: wherever the plan runs
memory_problems(plan's pipes, entities)      what only fits one session: for a DAG
connections_of(pipe, entities)               which Airflow connections a pipe's driver needs
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kindling_airflow.column_checks import pipe_column_problems, schema_problems
from kindling_airflow.contracts import escape_component
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import PipeMetadata
from kindling_airflow.errors import DeclarationError
from kindling_airflow.interval_checks import pipe_interval_problems
from kindling_airflow.kafka_tags import SERVERS_TAG, TOPIC_TAG, topic_of
from kindling_airflow.known_tags import word_problems
from kindling_airflow.provider_types import (
    BUILT_IN_TYPES,
    CONNECTION_TAG,
    PATH_TAG,
    is_absolute,
    provider_type_of,
    table_name_of,
    tag_problems_of,
)
from kindling_airflow.variables import variable_problem

__all__ = ["check_entities", "connections_of", "memory_problems"]

_CHECKPOINT_TAG = "stream.checkpoint"


def check_entities(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> None:
    """Check the entities that pipes touch; those that nobody declares are plain parquet tables.

    Raises:
        DeclarationError: unknown types and tags, schemas that Spark cannot read or that lack a
            named column, sources that a pipe writes, two outputs in one place, slices and
            watermarks that cannot be; lists every problem.
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
    problems += [text for pipe in pipes for text in pipe_interval_problems(pipe, entities)]
    problems += [text for pipe in pipes for text in pipe_column_problems(pipe, entities)]
    problems += _written_sources(pipes, entities)
    problems += _shared_places(pipes, entities)
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


def _shared_places(pipes: Iterable[PipeMetadata], entities: DataEntityRegistry) -> Iterator[str]:
    """Two outputs in one place would overwrite each other, each a whole table."""
    outputs = dict.fromkeys(pipe.output_entity_id for pipe in pipes)
    declared = filter(None, map(entities.get_entity_definition, outputs))
    if not any("provider_type" in e.tags or PATH_TAG in e.tags for e in declared):
        return  # as nearly always: plain tables lie in folders named by their ids
    taken: dict[tuple[str, ...], str] = {}
    for entity_id in outputs:
        for place, what in _places(entities.definition_or_default(entity_id)):
            other = taken.setdefault(place, entity_id)
            if other != entity_id:
                yield (
                    f"entities {other!r} and {entity_id!r} are both written to the {what}\n"
                    "  Fix: give one of them another "
                    + (f"{TOPIC_TAG}." if place[0] == "topic" else f"{PATH_TAG} or provider.table.")
                )


def _places(entity: EntityMetadata) -> Iterator[tuple[tuple[str, ...], str]]:
    kind = provider_type_of(entity)
    if kind == "kafka":
        where = str(entity.tags.get(SERVERS_TAG, entity.tags.get(CONNECTION_TAG, "")))
        yield ("topic", where, topic_of(entity)), f"topic {topic_of(entity)!r}"
    if kind not in ("delta", "iceberg", "parquet", "table"):
        return
    if kind == "iceberg" and "provider.table" in entity.tags:
        name = table_name_of(entity)
        yield ("table", *(part.casefold() for part in name)), f"table {'.'.join(name)!r}"
        return
    said = entity.tags.get(PATH_TAG)
    path = escape_component(entity.entityid) if said is None else str(said)
    lead = "/" if is_absolute(path) else ""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    yield ("path", lead, *parts), f"folder {path!r}"
    if kind == "table":
        name = table_name_of(entity)
        yield ("table", *(part.casefold() for part in name)), f"table {'.'.join(name)!r}"
