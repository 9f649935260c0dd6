"""What several definitions are to each other: checked by ``validate`` for all that it is given.

    one dag_id twice                                        a problem: Airflow runs one of them
    one table that two DAGs write, or have otherwise        a note: there may be reasons
    one pool of two sizes                                   a note
    an asset that a DAG waits for and no other one writes   a note: something else may
    DAGs that wait for each other                           a note

and which DAG waits for which asset of which other one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from kindling_airflow.cli.sources import Source
from kindling_airflow.common.frozen import thaw
from kindling_airflow.common.short_lists import first_of
from kindling_airflow.data_entities import DataEntityRegistry, EntityMetadata
from kindling_airflow.errors import did_you_mean
from kindling_airflow.tags.entity_places import places_of
from kindling_airflow.tags.provider_types import provider_type_of
from kindling_airflow.translator.streams import streaming_part

__all__ = ["Waiting", "notes_across", "same_dag_id", "waiting_dags"]

_SHOWN = 5
_FIELDS = ("schema", "partition_columns", "merge_columns", "cluster_columns")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An asset that a DAG waits for.

    Attributes:
        dag_id: the DAG.
        mode: ``all`` or ``any``: of its assets.
        asset: the asset.
        writers: the DAGs that update it.
    """

    dag_id: str
    mode: str
    asset: str
    writers: tuple[str, ...]


def same_dag_id(source: Source, others: Sequence[Source]) -> str | None:
    """Return what is wrong if another definition has the dag_id of this one; None if none has."""
    own = source.definition
    for other in others:
        if own is None or other.definition is None or own.dag_id != other.definition.dag_id:
            continue
        if _resolved(source.path) != _resolved(other.path):
            text = (
                f"{own.dag_id!r} is the dag_id of {other.path} already\n"
                "  Fix: give this definition a dag_id of its own."
            )
            return own.located((("dag_id",), text))
    return None


def waiting_dags(sources: Sequence[Source]) -> list[Waiting]:
    """Return what each DAG waits for that starts on updates of assets, in the order of sources."""
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
    """Return a text for each thing worth knowing of several definitions together."""
    named = [source for source in sources if source.definition is not None]
    unique = list({_resolved(source.path): source for source in named}.values())
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
        source: the definition.
        tables: the declarations.
        written: those that the plan writes.
        streamed: of them, those that streams write; see ``notes_together`` of ``notes.py``.
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
            f"{dags} both write {first_of(sorted(named), _SHOWN)}: runs at the same time fail or "
            "overwrite each other; let one DAG write it, or give one a warehouse of its own"
        )
    for place in sorted(one.tables.keys() & other.tables.keys()):
        entity, its = one.tables[place], other.tables[place]
        if entity is its or entity == its:
            continue
        different = _differences(one.source, entity, other.source, its)
        if different:
            yield (
                f"{dags} have entity {entity.entityid!r} ({place[0]} {place[1]!r}) in different "
                f"forms: {first_of(different, _SHOWN)}; declare it once, for both projects"
            )


def _named(place: _Place, entity: EntityMetadata, its: EntityMetadata) -> str:
    as_other = "" if its.entityid == entity.entityid else f", which is {its.entityid!r}"
    return f"{entity.entityid!r}{as_other} ({place[0]} {place[1]!r})"


def _streamed(source: Source) -> set[str]:
    """Return the entities that streams write."""
    lifetime = None if source.definition is None else source.definition.lifetime
    streaming = streaming_part(source.plan, lifetime)
    nodes = source.plan.graph.nodes
    streams = () if streaming is None else streaming.settings
    return {output for pipe_id in streams if (output := nodes[pipe_id].output_entity)}


def _differences(
    one: Source, entity: EntityMetadata, other: Source, its: EntityMetadata
) -> list[str]:
    """Return in what two declarations of one table differ: name, and both values."""
    pairs: list[tuple[str, Any, Any]] = [
        ("provider_type", provider_type_of(entity), provider_type_of(its))
    ]
    # A project that only reads a table need not declare more of it than where it lies.
    if all(
        entities is not None and entities.get_entity_definition(entity_id) is not None
        for entities, entity_id in (
            (_entities(one), entity.entityid),
            (_entities(other), its.entityid),
        )
    ):
        pairs += [(name, getattr(entity, name), getattr(its, name)) for name in _FIELDS]
        tags = sorted({*entity.tags, *its.tags} - {"provider_type"})
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
            said = [f"{width} slots by DAG {dag_id!r}" for width, dag_id in sorted(sizes.items())]
            yield (
                f"pool {pool!r} is to have {first_of(said, _SHOWN)}: it gets those of the DAG that "
                "runs first; give it one size, or each DAG its own pool"
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
        # What all begin with would make all alike.
        why = did_you_mean(_last(each.asset), map(_last, written))
        writer = next((silent[name] for name in silent if each.asset.endswith(f"/{name}")), None)
        if writer is not None:
            why = f" DAG {writer!r} writes such an entity, but updates no assets (assets: false)."
        yield (
            f"DAG {each.dag_id!r} waits for asset {each.asset!r}, which none of these definitions "
            f"updates: its runs start only if something else does.{why}"
        )


def _circles(waiting: Sequence[Waiting]) -> Iterator[str]:
    import networkx as nx

    graph = nx.DiGraph((writer, each.dag_id) for each in waiting for writer in each.writers)
    for knot in nx.strongly_connected_components(graph):
        dags = sorted(knot)
        if len(dags) == 1 and not graph.has_edge(dags[0], dags[0]):
            continue
        assets = sorted(
            {
                each.asset
                for each in waiting
                if each.dag_id in knot and not knot.isdisjoint(each.writers)
            }
        )
        who = (
            f"DAG {dags[0]!r} waits for what it updates itself"
            if len(dags) == 1
            else f"DAGs {first_of([repr(dag_id) for dag_id in dags], _SHOWN)} wait for each other"
        )
        yield (
            f"{who} (assets {first_of([repr(asset) for asset in assets], _SHOWN)}): no run starts "
            "by that alone, and once one is started, runs follow each other without end"
        )


def _entities(source: Source) -> DataEntityRegistry | None:
    return None if source.project is None else source.project.manifest.entities


def _dag_id(source: Source) -> str:
    return "" if source.definition is None else source.definition.dag_id


def _last(asset: str) -> str:
    return asset.rpartition("/")[2]


def _resolved(path: Path) -> Path:
    return path.resolve()
