"""What the inputs and outputs of some pipes imply, by number; names are put to it when asked for.

    pipe      0  a             writers     a.out: 0   b.out: 1
              1  b <- a        producers   0: []   1: [0]   2: [0, 1]
              2  c <- a b      depths      0: 0    1: 1     2: 2

On a graph that is larger than the processor's caches each look-up by name costs more than all the
rest, so names are looked up once per input. A plan of 100,000 pipes needs no more than the numbers;
who wants to know its edges, or who reads what, makes the view of it once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

from kindling_airflow.common.frozen import FrozenDict
from kindling_airflow.pipe_graph.cycles import PipeEdge, grouped

__all__ = ["Node", "Wiring"]

_Numbers = tuple[tuple[int, ...], ...]


class Node(Protocol):
    """What the wiring looks at."""

    @property
    def pipe_id(self) -> str:
        """The pipe's id."""
        ...

    @property
    def input_entities(self) -> tuple[str, ...]:
        """What it reads."""
        ...

    @property
    def output_entity(self) -> str | None:
        """What it writes."""
        ...


class Wiring:
    """Who writes and who reads what, among some pipes; everything in their order.

    Attributes:
        names: the pipes; their places are their numbers.
        writers: the number of each entity's first writer.
        producers: for each pipe, the numbers of those that it reads from, in the order of its
            inputs; itself left out.
        external: for each entity that is read and not written, the numbers of its readers.
        reads_own: the numbers of the pipes that read what they write.
        problems: a text for each entity with more than one writer.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self.names = tuple([node.pipe_id for node in nodes])
        self.writers, self.problems = _writers(nodes)
        external: dict[str, list[int]] = {}
        reads_own: list[int] = []
        producers: list[tuple[int, ...]] = []
        writer_of, add = self.writers.get, producers.append
        for number, node in enumerate(nodes):
            inputs = node.input_entities
            found = [w for w in map(writer_of, inputs) if w is not None and w != number]
            if len(set(found)) != len(inputs):  # others too, or one that is named twice
                found = list(dict.fromkeys(found))
                for entity in dict.fromkeys(inputs):
                    writer = writer_of(entity)
                    if writer is None:
                        external.setdefault(entity, []).append(number)
                    elif writer == number:
                        reads_own.append(number)
            add(tuple(found))
        self.producers: _Numbers = tuple(producers)
        self.external = FrozenDict({e: tuple(readers) for e, readers in external.items()})
        self.reads_own = frozenset(reads_own)

    @cached_property
    def consumers(self) -> _Numbers:
        """For each pipe, the numbers of those that read from it; itself left out."""
        found: list[list[int]] = [[] for _ in self.names]
        for number, before in enumerate(self.producers):
            for producer in before:
                found[producer].append(number)
        return tuple(map(tuple, found))

    @cached_property
    def depths(self) -> tuple[int, ...] | None:
        """For each pipe, the pipes on the longest chain that leads to it; None with cycles."""
        depths: list[int] = []
        depth_of, add = depths.__getitem__, depths.append
        try:  # as long as producers are declared before their consumers, nothing else is needed
            for before in self.producers:
                add(1 + max(map(depth_of, before)) if before else 0)
        except IndexError:
            return _depths(list(map(len, self.producers)), self.consumers)
        return tuple(depths)

    @cached_property
    def layers(self) -> _Numbers:
        """The pipes by their depth; none of those on or behind a cycle."""
        depths = self.depths or ()
        count = 1 + max(depths, default=-1)
        return tuple(map(tuple, grouped(range(len(depths)), depths.__getitem__, count)))

    def shared(self) -> Iterable[tuple[str, int]]:
        """Yield the entities that two or more pipes read beside their writer, with their number.

        Written ones come first.
        """
        counts = Counter(chain.from_iterable(self.producers))
        for entity, number in self.writers.items():
            if counts[number] > 1:
                yield entity, counts[number]
        for entity, readers in self.external.items():
            if len(readers) > 1:
                yield entity, len(readers)

    def readers(self, entities: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the readers of each of these entities, beside its writer."""
        found: dict[str, list[int]] = {e: list(self.external.get(e, ())) for e in entities}
        wanted = {self.writers[e]: found[e] for e in found if e in self.writers}
        for number, before in enumerate(self.producers):
            for producer in before:
                if producer in wanted:
                    wanted[producer].append(number)
        return {entity: self.named(numbers) for entity, numbers in found.items()}

    def is_all(self, pipe_ids: Sequence[str]) -> bool:
        """Return whether these are all the pipes, in their order."""
        return not isinstance(pipe_ids, str) and self.names == tuple(pipe_ids)

    def touches(self, entity: str) -> bool:
        """Return whether a pipe reads or writes an entity."""
        return entity in self.writers or entity in self.external

    def named(self, numbers: Iterable[int]) -> tuple[str, ...]:
        """Return the names of some pipes."""
        return tuple(map(self.names.__getitem__, numbers))

    @cached_property
    def edges(self) -> tuple[PipeEdge, ...]:
        """The data edges, by reading pipe, then by its inputs."""
        names, new = self.names, tuple.__new__
        written: list[Any] = [node.output_entity for node in self._nodes]
        return tuple(
            [
                new(PipeEdge, (names[producer], name, written[producer]))
                for name, before in zip(names, self.producers, strict=True)
                for producer in before
            ]
        )

    @cached_property
    def adjacency(self) -> Mapping[str, tuple[str, ...]]:
        """For each pipe, the pipes that read its output."""
        return FrozenDict(zip(self.names, map(self.named, self.consumers), strict=True))

    @cached_property
    def reverse_adjacency(self) -> Mapping[str, tuple[str, ...]]:
        """For each pipe, the pipes whose output it reads."""
        return FrozenDict(zip(self.names, map(self.named, self.producers), strict=True))

    @cached_property
    def entity_producers(self) -> Mapping[str, str]:
        """For each entity that is written, its first writer."""
        return FrozenDict(zip(self.writers, self.named(self.writers.values()), strict=True))

    @cached_property
    def entity_consumers(self) -> Mapping[str, tuple[str, ...]]:
        """For each entity that is read, its readers; written entities come first."""
        found: dict[str, tuple[str, ...]] = {}
        for entity, number in self.writers.items():
            readers: Iterable[int] = self.consumers[number]
            if number in self.reads_own:
                readers = sorted([*readers, number])
            if readers:
                found[entity] = self.named(readers)
        found.update((entity, self.named(readers)) for entity, readers in self.external.items())
        return FrozenDict(found)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The pipes, producers first: layer by layer."""
        return self.named(chain.from_iterable(self.layers))

    @cached_property
    def depth_of(self) -> Mapping[str, int]:
        """The depth of each pipe by its name; empty with cycles."""
        return FrozenDict(zip(self.names, self.depths or (), strict=False))


def _writers(nodes: Iterable[Node]) -> tuple[FrozenDict, tuple[str, ...]]:
    """Return the number of each entity's first writer, and a text where there are more."""
    first: dict[str, int] = {}
    doubled: dict[str, list[str]] = {}
    names: list[str] = []
    for number, node in enumerate(nodes):
        names.append(node.pipe_id)
        entity = node.output_entity
        if entity is not None and (found := first.setdefault(entity, number)) != number:
            doubled.setdefault(entity, [names[found]]).append(node.pipe_id)
    problems = tuple(
        f"entity {entity!r} is written by more than one pipe: {', '.join(map(repr, pipes))}\n"
        "  Fix: let each pipe write an entity of its own, and join them in a further pipe."
        for entity, pipes in doubled.items()
    )
    return FrozenDict(first), problems


def _depths(waiting: list[int], consumers: _Numbers) -> tuple[int, ...] | None:
    """Return the depth of each pipe, or None where some of them form a cycle.

    Source: A. B. Kahn, "Topological sorting of large networks", CACM 5 (1962).

    Args:
        waiting: how many producers each pipe has; used up.
        consumers: the pipes that read from each.
    """
    depths = [0] * len(waiting)
    order = [number for number, count in enumerate(waiting) if not count]
    for number in order:  # grows while it is walked
        below = depths[number] + 1
        for consumer in consumers[number]:
            waiting[consumer] = left = waiting[consumer] - 1
            if depths[consumer] < below:  # noqa: PLR1730 (a call costs more than all the rest)
                depths[consumer] = below
            if not left:
                order.append(consumer)
    return tuple(depths) if len(order) == len(depths) else None
