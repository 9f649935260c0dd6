"""Checks several definitions against each other, for ``validate``.

    duplicate dag_id                                        a problem: Airflow runs one of them
    a table that two DAGs write or declare differently      a note: it may be intended
    a pool of two sizes                                     a note
    an asset that a DAG waits for and none updates          a note: something else may
    DAGs that wait for each other                           a note

Also returns which DAG waits for which asset of which other DAG.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from kindling_airflow.cli.sources.source import Source
from kindling_airflow.common.immutable import thaw
from kindling_airflow.common.wording import did_you_mean, first_of
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.tags.names import PROVIDER_TYPE_TAG
from kindling_airflow.tags.places import places_of
from kindling_airflow.tags.storage_types import provider_type_of

_SHOWN = 5
_FIELDS = ("schema", "partition_columns", "merge_columns", "cluster_columns")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An asset that a DAG waits for.

    Attributes:
        dag_id: the DAG.
        mode: ``all`` or ``any`` of its assets.
        asset: the asset.
        writers: the DAGs that update it.
    """

    dag_id: str
    mode: str
    asset: str
    writers: tuple[str, ...]


def same_dag_id(source: Source, others: Sequence[Source]) -> str | None:
    """Return the problem if another definition has the same dag_id, else None."""
    own = source.definition
    for other in others:
        if own is None or other.definition is None or own.dag_id != other.definition.dag_id:
            continue
        if source.path.resolve() != other.path.resolve():
            text = (
                f"{own.dag_id!r} is already the dag_id of {other.path}\n"
                "  Fix: set another dag_id in this definition."
            )
            return own.located((("dag_id",), text))
    return None


def waiting_dags(sources: Sequence[Source]) -> list[Waiting]:
    """Return the assets that start DAGs, in the order of sources."""
    from kindling_airflow.definitions.plan_checks import input_assets

    writers = _writers(sources)
    found = []
    for source in sources:
        definition = source.definition
        if definition is None:
            continue
        mode, assets = definition.updates or ("all", ())
        if definition.follows_inputs:
            assets = input_assets(definition, source.plan)
        found += [
            Waiting(definition.dag_id, mode, asset, tuple(writers.get(asset, ())))
            for asset in assets
        ]
    return found


def notes_across(sources: Sequence[Source]) -> list[str]:
    """Return the notes on several definitions together."""
    named = [source for source in sources if source.definition is not None]
    unique = list({source.path.resolve(): source for source in named}.values())
    waiting = waiting_dags(unique)
    return [
        *(
            note
            for pair in combinations([_Touched.of(source) for source in unique], 2)
            for note in _shared_tables(*pair)
        ),
        *_pools(unique),
        *(_unwritten(waiting, unique) if len(unique) > 1 else ()),
        *_circles(waiting),
    ]


def _writers(sources: Sequence[Source]) -> Mapping[str, list[str]]:
    """Return the DAGs that update assets, by the assets' names."""
    from kindling_airflow.translator.assets import asset_identifier

    found: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        definition = source.definition
        if definition is None or definition.assets is None:
            continue
        identifier = asset_identifier(definition.assets)
        for entity_id in _outputs(source):
            found[identifier(entity_id)].append(definition.dag_id)
    return found


def _outputs(source: Source) -> list[str]:
    nodes = source.plan.graph.nodes.values()
    return list(dict.fromkeys(node.output_entity for node in nodes if node.output_entity))


_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Touched:
    """The tables of one definition's plan, by place.

    Attributes:
        tables: the declarations.
        written: those that the plan writes.
        streamed: of them, those that streams write; see ``notes_together`` in ``notes.py``.
    """

    source: Source
    tables: Mapping[_Place, EntityMetadata]
    written: frozenset[_Place]
    streamed: frozenset[_Place]

    @classmethod
    def of(cls, source: Source) -> _Touched:
        definition, entities = source.definition, _entities(source)
        tables: dict[_Place, EntityMetadata] = {}
        written, streamed = set(), set()
        if definition is not None and entities is not None:
            outputs, streams = dict.fromkeys(_outputs(source)), _streamed(source)
            for entity_id in (*outputs, *source.plan.graph.external_entities()):
                entity = entities.definition_or_default(entity_id)
                for place in places_of(entity, definition.warehouse or ""):
                    tables.setdefault(place, entity)
                    if entity_id in outputs:
                        written.add(place)
                    if entity_id in streams:
                        streamed.add(place)
        return cls(source, tables, frozenset(written), frozenset(streamed))


def _shared_tables(one: _Touched, other: _Touched) -> Iterator[str]:
    """Yield notes on the tables that two definitions have in common."""
    dags = f"DAGs {_dag_id(one.source)!r} and {_dag_id(other.source)!r}"
    both_write = (one.written & other.written) - (one.streamed & other.streamed)
    if both_write:
        named = [_named(place, one.tables[place], other.tables[place]) for place in both_write]
        yield (
            f"{dags} both write {first_of(sorted(named), _SHOWN)}: concurrent runs fail or "
            "overwrite each other; write it in one DAG, or set another warehouse for one"
        )
    for place in sorted(one.tables.keys() & other.tables.keys()):
        entity, its = one.tables[place], other.tables[place]
        if entity is its or entity == its:
            continue
        different = _differences(one.source, entity, other.source, its)
        if different:
            yield (
                f"{dags} declare entity {entity.entityid!r} ({place[0]} {place[1]!r}) differently: "
                f"{first_of(different, _SHOWN)}; share one declaration"
            )


def _named(place: _Place, entity: EntityMetadata, its: EntityMetadata) -> str:
    as_other = "" if its.entityid == entity.entityid else f", which is {its.entityid!r}"
    return f"{entity.entityid!r}{as_other} ({place[0]} {place[1]!r})"


def _streamed(source: Source) -> set[str]:
    """Return the entities that streams write."""
    streaming, nodes = source.streaming(), source.plan.graph.nodes
    streams = () if streaming is None else streaming.settings
    return {output for pipe_id in streams if (output := nodes[pipe_id].output_entity)}


def _differences(
    one: Source, entity: EntityMetadata, other: Source, its: EntityMetadata
) -> list[str]:
    """Return the differences of two declarations of a table: name, and both values."""
    pairs: list[tuple[str, Any, Any]] = [
        (PROVIDER_TYPE_TAG, provider_type_of(entity), provider_type_of(its))
    ]
    # A project that only reads a table need not declare more than its location.
    if all(
        entities is not None and entities.get_entity_definition(entity_id) is not None
        for entities, entity_id in (
            (_entities(one), entity.entityid),
            (_entities(other), its.entityid),
        )
    ):
        pairs += [(name, getattr(entity, name), getattr(its, name)) for name in _FIELDS]
        tags = sorted({*entity.tags, *its.tags} - {PROVIDER_TYPE_TAG})
        pairs += [(tag, entity.tags.get(tag), its.tags.get(tag)) for tag in tags]
    return [
        f"{name} {_shown(own)} and {_shown(others)}" for name, own, others in pairs if own != others
    ]


def _shown(value: Any) -> str:
    return "none" if value is None or value == () else repr(thaw(value))


def _pools(sources: Sequence[Source]) -> Iterator[str]:
    slots: dict[str, dict[int, str]] = defaultdict(dict)
    for source in sources:
        definition = source.definition
        if definition is not None:
            for pool, width in {**definition.pools, definition.pool: definition.width}.items():
                slots[pool].setdefault(width, definition.dag_id)
    for pool, sizes in slots.items():
        if len(sizes) > 1:
            given = [f"{width} slots by DAG {dag_id!r}" for width, dag_id in sorted(sizes.items())]
            yield (
                f"pool {pool!r} is given {first_of(given, _SHOWN)}: it gets those of the DAG that "
                "runs first; set one size, or use one pool for each DAG"
            )


def _unwritten(waiting: Sequence[Waiting], sources: Sequence[Source]) -> Iterator[str]:
    written = _writers(sources)
    silent = {
        entity_id: _dag_id(source)
        for source in sources
        if source.definition is not None and source.definition.assets is None
        for entity_id in _outputs(source)
    }
    for each in waiting:
        if each.writers:
            continue
        # The common prefix would make all similar.
        why = did_you_mean(_last(each.asset), map(_last, written))
        writer = next((silent[name] for name in silent if each.asset.endswith(f"/{name}")), None)
        if writer is not None:
            why = f" DAG {writer!r} writes that entity, but updates no assets (assets: false)."
        yield (
            f"DAG {each.dag_id!r} waits for asset {each.asset!r}, which none of these definitions "
            f"updates: its runs start only if something else updates it.{why}"
        )


def _circles(waiting: Sequence[Waiting]) -> Iterator[str]:
    import networkx as nx

    graph = nx.DiGraph((writer, each.dag_id) for each in waiting for writer in each.writers)
    for component in nx.strongly_connected_components(graph):
        dags = sorted(component)
        if len(dags) == 1 and not graph.has_edge(dags[0], dags[0]):
            continue
        assets = sorted(
            {
                each.asset
                for each in waiting
                if each.dag_id in component and not component.isdisjoint(each.writers)
            }
        )
        who = (
            f"DAG {dags[0]!r} waits for an asset that it updates itself"
            if len(dags) == 1
            else f"DAGs {first_of([repr(dag_id) for dag_id in dags], _SHOWN)} wait for each other"
        )
        yield (
            f"{who} (assets {first_of([repr(asset) for asset in assets], _SHOWN)}): none of them "
            "starts by itself, and once one is started, runs follow each other endlessly"
        )


def _entities(source: Source) -> DataEntityRegistry | None:
    return None if source.project is None else source.project.manifest.entities


def _dag_id(source: Source) -> str:
    return "" if source.definition is None else source.definition.dag_id


def _last(asset: str) -> str:
    return asset.rpartition("/")[2]
