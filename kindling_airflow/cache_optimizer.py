"""Decides which entities are worth caching between the pipes that read them.

    orders --> daily          orders is read three times, fx twice: keeping them saves two reads of
    orders --> by_country     orders and one of fx. daily has one reader, so keeping it saves
    orders --> report <-- fx  nothing.
    daily  --> report
    fx     --> by_country

What is saved is ``benefit``: the bytes that need not be read again. The memory budget goes to the
greatest benefits first. Sizes come from the entities' tags (``size_bytes``). This module
recommends; the executor decides whether and when an entity is really kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple

from kindling_airflow.common.immutable import FrozenDict
from kindling_airflow.data_entities import list_problems
from kindling_airflow.errors import GraphValidationError
from kindling_airflow.pipe_graph import PipeGraph
from kindling_airflow.tags.names import SIZE_TAG

__all__ = ["CacheLevel", "CacheRecommendation", "cache_metadata", "recommend_cache"]

_MOST_IN_METADATA = 1000


class CacheLevel(Enum):
    """Where to keep an entity; but for ``NONE`` the names are those of Spark's storage levels."""

    MEMORY_ONLY = "MEMORY_ONLY"
    MEMORY_AND_DISK = "MEMORY_AND_DISK"
    DISK_ONLY = "DISK_ONLY"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class CacheRecommendation:
    """What to do with one entity that two or more pipes of a plan read.

    Attributes:
        entity_id: the entity.
        consumers: the pipes that read it, in the order of the plan.
        reason: why, as human-readable text.
        level: where to keep it.
        size_bytes: its size, or None where no tag has it.
        benefit: the bytes that need not be read again when it is kept, or None where its size is
            not known.
    """

    entity_id: str
    consumers: tuple[str, ...]
    reason: str
    level: CacheLevel
    size_bytes: int | None
    benefit: int | None


class _Shared(NamedTuple):
    """An entity with two or more readers, and its size where a tag has it."""

    entity_id: str
    readers: tuple[str, ...]
    size: int | None = None

    @property
    def benefit(self) -> int:
        """The bytes that need not be read again; 0 where the size is not known."""
        return (len(self.readers) - 1) * (self.size or 0)


# An entity, where to keep it, and why.
_Decision = tuple[_Shared, CacheLevel, str]

_UNKNOWN = "no size_bytes tag gives its size"
_EMPTY = "it is empty"
_NO_BUDGET = "no memory budget limits what is kept"
_FITS = "its {size:,} bytes fit into the memory budget"
_CROWDED = "its {size:,} bytes fit only in part beside what is worth more"
_TOO_LARGE = "its {size:,} bytes exceed the memory budget"
_TOO_LARGE_FOR_TWO = (
    "its {size:,} bytes exceed the memory budget, and to write a copy to disk costs as much as the "
    "one read that it saves"
)


def recommend_cache(
    graph: PipeGraph, pipe_ids: Sequence[str], *, memory_budget_bytes: int | None = None
) -> tuple[CacheRecommendation, ...]:
    """Return a recommendation for each entity that two or more pipes of a plan read.

    A pipe that reads its own output does not count among its readers: it reads the state of before,
    and the others what it writes.

    The most valuable comes first: known sizes by benefit, then unknown ones by the number of
    readers, then what is not worth keeping; equals in the order in which the graph has them. In
    this order an entity that fits into what is left of the budget gets ``MEMORY_ONLY``; one that
    would fit but for those before it ``MEMORY_AND_DISK``; one that is larger than the whole budget
    ``DISK_ONLY`` if that saves two reads or more, else ``NONE``. Without a budget, and for unknown
    sizes, it is ``MEMORY_AND_DISK``; for empty entities ``NONE``.

    Args:
        graph: the graph; it may hold more than the plan.
        pipe_ids: the pipes of the plan, in its order.
        memory_budget_bytes: the memory for entities that are kept, or None where it is not known.

    Raises:
        GraphValidationError: the budget or a tag ``size_bytes`` in the graph is not a whole number
            of bytes, or ``pipe_ids`` is a string; lists every problem.
    """
    _, decided = _decided(graph, pipe_ids, memory_budget_bytes)
    return tuple(
        CacheRecommendation(**{**entry, "level": CacheLevel(entry["level"])})
        for entry in map(_entry, decided)
    )


def cache_metadata(
    graph: PipeGraph, pipe_ids: Sequence[str], memory_budget_bytes: int | None = None
) -> dict[str, Any]:
    """Return the part of a plan's metadata that is about its shared entities.

    ``cache_candidate_entities`` are all shared entities and ``cache_candidate_count`` their number;
    ``cache_recommendations`` are those of the 1,000 most valuable, as JSON objects. Arguments and
    errors are those of :func:`recommend_cache`. All of it is immutable.
    """
    names, decided = _decided(graph, pipe_ids, memory_budget_bytes, _MOST_IN_METADATA)
    return {
        "cache_recommendations": tuple([FrozenDict(_entry(decision)) for decision in decided]),
        "cache_candidate_count": len(names),
        "cache_candidate_entities": tuple(names),
    }


def _entry(decision: _Decision) -> dict[str, Any]:
    """Return a recommendation as a JSON object."""
    shared, level, why = decision
    entity_id, readers, size = shared
    return {
        "entity_id": entity_id,
        "consumers": readers,
        "reason": f"{len(readers)} pipes read it; {why.format(size=size)}",
        "level": level.value,
        "size_bytes": size,
        "benefit": shared.benefit if size is not None else None,
    }


def _decided(
    graph: PipeGraph, pipe_ids: Sequence[str], budget: int | None, most: int | None = None
) -> tuple[list[str], list[_Decision]]:
    """Return the shared entities, the most valuable first, and what to do with the first of them.

    ``most`` is the number of decisions; None: all.
    """
    if isinstance(pipe_ids, str):
        raise GraphValidationError(list_problems("pipe_ids", pipe_ids))
    sizes, problems = _sizes(graph.entity_tags)
    limit = _whole_bytes(budget)
    if limit is None and budget is not None:
        problems.append(
            f"memory_budget_bytes must be a whole number of bytes, 0 or more, not {budget!r}\n"
            "  Fix: give a number, or None where the memory is not known."
        )
    if problems:
        raise GraphValidationError(problems)
    shared = sorted(_shared(graph, pipe_ids), key=lambda pair: len(pair[1]), reverse=True)
    known = [_Shared(e, readers, sizes[e]) for e, readers in shared if e in sizes]
    known.sort(key=attrgetter("benefit"), reverse=True)
    levels = list(_levels(known, limit))
    worth = [decision for decision in levels if decision[1] is not CacheLevel.NONE]
    worthless = [decision for decision in levels if decision[1] is CacheLevel.NONE]
    unknown = [(e, readers) for e, readers in shared if e not in sizes]
    decided = [
        *worth,
        *((_Shared(*pair), CacheLevel.MEMORY_AND_DISK, _UNKNOWN) for pair in unknown[:most]),
        *worthless,
    ]
    names = [*_names(worth), *(entity for entity, _ in unknown), *_names(worthless)]
    return names, decided[:most]


def _names(decisions: Iterable[_Decision]) -> Iterator[str]:
    return (shared.entity_id for shared, _, _ in decisions)


def _shared(graph: PipeGraph, pipe_ids: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the entities that two or more of the pipes read beside their writer, with these."""
    places = None if graph.is_all(pipe_ids) else {p: place for place, p in enumerate(pipe_ids)}
    writer_of = graph.entity_producers.get
    for entity, pipes in graph.get_shared_inputs().items():
        writer = writer_of(entity)
        readers = tuple([p for p in pipes if p != writer]) if writer in pipes else pipes
        if places is not None:
            readers = tuple(sorted([p for p in readers if p in places], key=places.__getitem__))
        if len(readers) > 1:
            yield entity, readers


def _levels(known: Sequence[_Shared], budget: int | None) -> Iterator[_Decision]:
    """Yield where to keep the entities of known size, which come by falling benefit."""
    free = budget or 0
    for entity in known:
        size = entity.size or 0
        if not size:
            yield entity, CacheLevel.NONE, _EMPTY
        elif budget is None:
            yield entity, CacheLevel.MEMORY_AND_DISK, _NO_BUDGET
        elif size <= free:
            free -= size
            yield entity, CacheLevel.MEMORY_ONLY, _FITS
        elif size <= budget:
            yield entity, CacheLevel.MEMORY_AND_DISK, _CROWDED
        elif len(entity.readers) > 2:
            yield entity, CacheLevel.DISK_ONLY, _TOO_LARGE
        else:
            yield entity, CacheLevel.NONE, _TOO_LARGE_FOR_TWO


def _sizes(entity_tags: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, int], list[str]]:
    """Return the sizes in the tags, and the problems of invalid ones."""
    sizes: dict[str, int] = {}
    problems = []
    for entity_id, tags in entity_tags.items():
        if SIZE_TAG not in tags:
            continue
        size = _whole_bytes(tags[SIZE_TAG])
        if size is None:
            problems.append(
                f"entity {entity_id!r}: tag size_bytes must be a whole number of bytes, 0 or more, "
                f"not {tags['size_bytes']!r}\n"
                "  Fix: correct the tag, or leave it out where the size is not known."
            )
        else:
            sizes[entity_id] = size
    return sizes, problems


def _whole_bytes(value: object) -> int | None:
    """Return a number of bytes as an int, or None if the value is not one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and type(value) is not bool and value >= 0 else None
