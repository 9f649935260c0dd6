"""The settings of a deployment, which override the declarations, by id and by pattern.

    pipes:                                   entities:
      "gold.**":                               "raw.*":
        tags: {duration_hint: 30}                tags: {provider.option.sep: ";"}
      gold.ranking:                            raw.orders:
        tags: {duration_hint: 90}                tags: {provider.path: s3a://lake/x}

One such mapping is a layer. Later layers win over earlier ones; inside a layer the most specific
pattern wins: an exact id beats ``*``, which beats ``**`` (:mod:`kindling_airflow.common.id_globs`).
Tags are merged key by key, and a tag set to null is taken away; every other field is replaced.
What a pipe reads, writes and runs is code, and stays code.

    declarations + layers -> effective declarations -> plan -> DAG
                                     |
                                     +-- differences_for(pipes): to the driver, with its request
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from kindling_airflow.common.id_globs import Glob, glob_specificity
from kindling_airflow.common.immutable import EMPTY, FrozenDict, freeze, same_json, thaw
from kindling_airflow.common.wording import did_you_mean
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.data_pipes import DataPipesRegistry, PipeMetadata
from kindling_airflow.errors import DeclarationError, SettingsError

__all__ = [
    "ENTITY_SETTINGS",
    "PIPE_SETTINGS",
    "Declarations",
    "SettingsLayer",
    "apply_differences",
    "apply_settings",
    "differences_for",
]

PIPE_SETTINGS = ("name", "tags", "output_type", "use_watermark", "driving_entity_ids")
ENTITY_SETTINGS = (
    *("name", "tags", "schema", "merge_columns", "partition_columns", "cluster_columns"),
)
_SECTIONS = {"pipes": PIPE_SETTINGS, "entities": ENTITY_SETTINGS}


class Declarations(Protocol):
    """Pipes and entities: a manifest, or what was harvested."""

    @property
    def pipes(self) -> DataPipesRegistry:
        """The pipes."""
        ...

    @property
    def entities(self) -> DataEntityRegistry:
        """The entities."""
        ...


@dataclass(frozen=True, slots=True)
class SettingsLayer:
    """One layer of settings, checked for its form.

    Attributes:
        source: what messages call it: its file.
        pipes: settings of pipes by pattern, in the order of the document.
        entities: settings of entities by pattern, in the order of the document.
    """

    source: str
    pipes: Mapping[str, Mapping[str, Any]] = EMPTY
    entities: Mapping[str, Mapping[str, Any]] = EMPTY

    @classmethod
    def from_document(cls, document: Any, source: str) -> SettingsLayer:
        """Return the layer that a document describes; an empty document is an empty layer.

        Raises:
            SettingsError: unknown sections or settings, no mapping where one belongs; lists all.
        """
        document = {} if document is None else document
        problems = list(_form_problems(document))
        if problems:
            raise SettingsError(f"{source}: {problem}" for problem in problems)
        return cls(source, *(freeze(document.get(section) or {}) for section in _SECTIONS))


def _form_problems(document: Any) -> Iterator[str]:
    if not isinstance(document, Mapping):
        yield f"settings are a mapping of 'pipes' and 'entities', not {type(document).__name__}"
        return
    for section in document:
        if section not in _SECTIONS:
            yield f"unknown section {section!r}.{_hint(section, _SECTIONS)}"
    for section, known in _SECTIONS.items():
        patterns = document.get(section) or {}
        if not isinstance(patterns, Mapping):
            yield f"{section} must be a mapping from id to settings, not {patterns!r}"
            continue
        for pattern, settings in patterns.items():
            where = f"{section}: {pattern!r}"
            if not isinstance(pattern, str) or not isinstance(settings, Mapping):
                yield f"{where} must be an id with a mapping of settings, not {settings!r}"
                continue
            for key in settings:
                if key not in known:
                    yield f"{where}: unknown setting {key!r}.{_hint(key, known)}"
            if not isinstance(settings.get("tags", {}), Mapping):
                yield f"{where}: tags must be a mapping, not {settings['tags']!r}"


def _hint(unknown: object, known: Iterable[str]) -> str:
    return did_you_mean(str(unknown), known) or f" Known: {', '.join(known)}."


def apply_settings(
    declared: Declarations, layers: Sequence[SettingsLayer]
) -> tuple[DataPipesRegistry, DataEntityRegistry]:
    """Return the pipes and entities as they are under these layers.

    An entity that a pipe reads or writes can be set without having been declared.

    Raises:
        SettingsError: a pattern matches nothing, or a value is not what its field takes; lists
            every problem with its layer.
    """
    if not layers:
        return declared.pipes, declared.entities
    touched = {e: None for p in declared.pipes for e in (*p.input_entity_ids, p.output_entity_id)}
    entities = {entity.entityid: entity for entity in declared.entities}
    problems = [
        problem
        for layer in layers
        for problem in (
            *_unmatched(layer.source, "pipe", layer.pipes, declared.pipes.get_pipe_ids()),
            *_unmatched(layer.source, "entity", layer.entities, [*entities, *touched]),
        )
    ]
    set_pipes, set_entities = DataPipesRegistry(), DataEntityRegistry()
    settings_of_pipe = _resolver([(layer.source, layer.pipes) for layer in layers])
    settings_of_entity = _resolver([(layer.source, layer.entities) for layer in layers])
    for pipe in declared.pipes:
        settings, sources = settings_of_pipe(pipe.pipeid)
        problems += _register(set_pipes.register_pipe, pipe, settings, sources)
    for entity_id in dict.fromkeys((*entities, *touched)):
        settings, sources = settings_of_entity(entity_id)
        if settings or entity_id in entities:
            entity = entities.get(entity_id) or EntityMetadata(entity_id, entity_id)
            problems += _register(set_entities.register_entity, entity, settings, sources)
    if problems:
        raise SettingsError(problems)
    return set_pipes, set_entities


def _unmatched(
    source: str, what: str, patterns: Iterable[str], known: Sequence[str]
) -> Iterator[str]:
    ids = dict.fromkeys(known)
    for pattern in patterns:
        if not any(True for _ in Glob.parse(pattern).finder()(ids)):
            hint = did_you_mean(pattern, ids)
            yield (
                f"{source}: {pattern!r} matches no {what}.{hint}\n"
                "  Fix: correct the pattern, or remove the entry."
            )


def _resolver(
    layers: Sequence[tuple[str, Mapping[str, Mapping[str, Any]]]],
) -> Callable[[str], tuple[dict[str, Any], tuple[str, ...]]]:
    """Return a function from an id to its settings, and to the layers that they come from."""
    ordered = [
        (source, Glob.parse(pattern).matcher(), patterns[pattern])
        for source, patterns in layers
        for pattern in sorted(patterns, key=glob_specificity)
    ]

    def settings_of(an_id: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        found: dict[str, Any] = {}
        sources: dict[str, None] = {}
        for source, matches, settings in ordered:
            if matches(an_id):
                sources[source] = None
                tags = {**found.get("tags", {}), **settings.get("tags", {})}
                found |= {**settings, "tags": tags} if tags else settings
        return found, tuple(sources)

    return settings_of


def _register(
    register: Callable[..., object],
    declared: PipeMetadata | EntityMetadata,
    settings: Mapping[str, Any],
    sources: Sequence[str],
) -> list[str]:
    try:
        register(**_with(declared, settings))
    except DeclarationError as error:
        return [f"{', '.join(sources)}: {problem}" for problem in error.problems]
    return []


def _with(declared: PipeMetadata | EntityMetadata, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declaration's fields with settings laid over them."""
    original = _fields(declared)
    own = settings.get("tags", {})
    tags = {key: value for key, value in original["tags"].items() if key not in own}
    tags |= {key: value for key, value in own.items() if value is not None}
    return {**original, **settings, "tags": tags}


def _fields(declared: PipeMetadata | EntityMetadata) -> dict[str, Any]:
    return {item.name: getattr(declared, item.name) for item in fields(declared)}


def differences_for(
    base: Declarations, effective: Declarations, pipe_ids: Iterable[str]
) -> FrozenDict:
    """Return the overrides that a driver must apply to the declarations that it imports.

    Args:
        base: the declarations as the modules make them.
        effective: the same under the deployment's settings.
        pipe_ids: the pipes that it is to run; their own fields count, and those of the entities
            that they touch.

    Returns:
        ``{"pipes": {id: {field: value}}, "entities": {id: {field: value}}}`` without what is the
        same; empty where nothing differs. The inputs of a query are always in it, because they may
        have been derived from its text, which the driver need not be able to do.
    """
    pipes: dict[str, Any] = {}
    entities: dict[str, Any] = {}
    for pipe_id in pipe_ids:
        old = base.pipes.get_pipe_definition(pipe_id)
        new = effective.pipes.get_pipe_definition(pipe_id)
        if old is None or new is None or (base is effective and new.sql is None):
            continue
        pipes[pipe_id] = _changed(old, new, PIPE_SETTINGS)
        if new.sql is not None:
            pipes[pipe_id]["input_entity_ids"] = list(new.input_entity_ids)
        for entity_id in (*new.input_entity_ids, new.output_entity_id):
            entities[entity_id] = _changed(
                base.entities.definition_or_default(entity_id),
                effective.entities.definition_or_default(entity_id),
                ENTITY_SETTINGS,
            )
    found = {
        section: {an_id: changed for an_id, changed in changes.items() if changed}
        for section, changes in (("pipes", pipes), ("entities", entities))
    }
    return FrozenDict(freeze({section: changes for section, changes in found.items() if changes}))


def _changed(old: object, new: object, names: Iterable[str]) -> dict[str, Any]:
    return {
        name: thaw(getattr(new, name))
        for name in names
        if not same_json(getattr(old, name), getattr(new, name))
    }


def apply_differences(
    declared: Declarations, differences: Mapping[str, Any]
) -> tuple[DataPipesRegistry, DataEntityRegistry]:
    """Return the declarations with the differences of :func:`differences_for` laid over them.

    Raises:
        DeclarationError: a difference does not fit; a newer release may have written it.
    """
    if not differences:
        return declared.pipes, declared.entities
    pipes, entities = DataPipesRegistry(), DataEntityRegistry()
    own: Mapping[str, Mapping[str, Any]] = differences.get("pipes", EMPTY)
    changed: Mapping[str, Mapping[str, Any]] = differences.get("entities", EMPTY)
    for pipe in declared.pipes:
        pipes.register_pipe(**{**_fields(pipe), **own.get(pipe.pipeid, EMPTY)})
    ids = [*(entity.entityid for entity in declared.entities), *changed]
    for entity_id in dict.fromkeys(ids):
        entity = declared.entities.definition_or_default(entity_id)
        entities.register_entity(**{**_fields(entity), **changed.get(entity_id, EMPTY)})
    return pipes, entities
