"""Entities that several pipes read, kept between them as the plan recommends.

The executor knows when: an entity is shared from the generation of its first reader on, and
released when its last reader has ended, whatever its status. The runner knows how: it keeps the
data, decides which readers get the same data, and reports hits and misses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kindling_airflow.common.wording import did_you_mean, first_of
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.generation_executor.events import Events
from kindling_airflow.generation_executor.runners import PipeRunner, SharedReads
from kindling_airflow.generation_executor.signals import cache_hit, cache_miss, cache_recommended

_LEVELS = ("MEMORY_ONLY", "MEMORY_AND_DISK", "DISK_ONLY", "NONE")
_KEY = "cache_recommendations"
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class SharedRead:
    """One recommendation of a plan: an entity, its readers in the plan, and how to keep it."""

    entity_id: str
    consumers: tuple[str, ...]
    level: str


@dataclass(frozen=True, slots=True)
class ReadReported:
    """The message that a pipe read a shared entity."""

    entity_id: str
    pipe_id: str
    hit: bool


def recommended_reads(plan: ExecutionPlan) -> tuple[tuple[SharedRead, ...], list[str]]:
    """Return the recommendations in a plan's metadata, and what is wrong with them."""
    listed = plan.metadata.get(_KEY, ())
    if not isinstance(listed, tuple):
        return (), [f"metadata: {_KEY} must be a list, not {listed!r}"]
    members = set(plan.pipe_ids)
    found: dict[str, SharedRead] = {}
    problems = []
    for n, entry in enumerate(listed):
        where = f"metadata: {_KEY}[{n}]"
        wrong = _entry_problems(entry)
        if wrong:
            problems += [f"{where}{problem}" for problem in wrong]
        elif entry["entity_id"] in found:
            problems.append(f"{where}: entity {entry['entity_id']!r} is listed twice")
        else:
            consumers = tuple(p for p in dict.fromkeys(entry["consumers"]) if p in members)
            read = SharedRead(entry["entity_id"], consumers, entry["level"])
            found[read.entity_id] = read
    return tuple(found.values()), problems


def _entry_problems(entry: Any) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f" must be an object, not {entry!r}"]
    entity_id, consumers, level = (entry.get(k) for k in ("entity_id", "consumers", "level"))
    problems = []
    if not isinstance(entity_id, str):
        problems.append(f".entity_id must be a string, not {entity_id!r}")
    if not isinstance(consumers, tuple) or not all(isinstance(c, str) for c in consumers):
        problems.append(f".consumers must be a list of pipes, not {consumers!r}")
    if level not in _LEVELS:
        hint = did_you_mean(str(level), _LEVELS)
        problems.append(
            f".level: unknown value {level!r}.{hint}\n  Fix: use one of {', '.join(_LEVELS)}."
        )
    return problems


class SharedEntities:
    """The shared entities of one execution.

    Args:
        reads: what the plan recommends.
        run_pipe: the runner; without :class:`SharedReads` nothing is shared, and a warning logged.
        apply: whether recommendations are applied.
        events: sends the signals.
        post: takes the messages of the pipes' threads.
    """

    def __init__(
        self,
        reads: Iterable[SharedRead],
        run_pipe: PipeRunner,
        apply: bool,
        events: Events,
        post: Callable[[ReadReported], None],
    ) -> None:
        self._recommended = tuple(reads)
        self._apply = apply
        self._sharer = run_pipe if apply and isinstance(run_pipe, SharedReads) else None
        self._events = events
        self._post = post
        self._reads: dict[str, list[tuple[SharedReads, SharedRead]]] = {}  # by reader
        self._readers: dict[str, set[str]] = {}  # by entity: those that have not ended
        self._counts: dict[str, dict[str, Any]] = {}  # by entity that was ever shared
        self._kept: dict[str, SharedReads] = {}  # by entity that is shared now

    def recommend(self) -> None:
        """Signal what is recommended, and whether it is applied."""
        unshared = []
        for read in self._recommended:
            worth = len(read.consumers) > 1 and read.level != "NONE"
            sharer = self._sharer if worth else None
            if worth and self._apply and sharer is None:
                unshared.append(read.entity_id)
            self._events.send(
                cache_recommended,
                entity_id=read.entity_id,
                consumers=read.consumers,
                level=read.level,
                applied=sharer is not None,
            )
            if sharer is not None:
                self._readers[read.entity_id] = set(read.consumers)
                for pipe_id in read.consumers:
                    self._reads.setdefault(pipe_id, []).append((sharer, read))
        if unshared:
            self._events.log.warning(_unshared(unshared))

    def before(self, pipe_ids: Iterable[str]) -> None:
        """Share the entities whose first readers are among these pipes."""
        for pipe_id in pipe_ids:
            for sharer, read in self._reads.get(pipe_id, ()):
                if read.entity_id not in self._counts:
                    self._share(sharer, read)

    def reported(self, message: ReadReported) -> None:
        """Count a read, and signal it."""
        self._counts[message.entity_id]["hits" if message.hit else "misses"] += 1
        self._events.send(
            cache_hit if message.hit else cache_miss,
            entity_id=message.entity_id,
            pipe_id=message.pipe_id,
        )

    def ended(self, pipe_id: str) -> None:
        """Release what has no more readers now that a pipe has ended."""
        for _, read in self._reads.get(pipe_id, ()):
            readers = self._readers[read.entity_id]
            readers.discard(pipe_id)
            if not readers:
                self._release(read.entity_id)

    def release_all(self) -> None:
        """Release everything."""
        for entity_id in tuple(self._kept):
            self._release(entity_id)

    def metrics(self) -> dict[str, Any]:
        """Return hits and misses, in total and by entity."""
        counts = self._counts.values()
        return {
            "hits": sum(count["hits"] for count in counts),
            "misses": sum(count["misses"] for count in counts),
            "entities": {entity_id: dict(count) for entity_id, count in self._counts.items()},
        }

    def _share(self, sharer: SharedReads, read: SharedRead) -> None:
        entity_id = read.entity_id
        self._counts[entity_id] = {"level": read.level, "hits": 0, "misses": 0}
        self._kept[entity_id] = sharer

        def on_read(pipe_id: str, hit: bool) -> None:
            self._post(ReadReported(entity_id, pipe_id, hit))

        try:
            sharer.share(entity_id, read.level, on_read)
        except Exception as error:
            self._events.log.failure(f"entity {entity_id!r} cannot be shared", error)

    def _release(self, entity_id: str) -> None:
        sharer = self._kept.pop(entity_id, None)
        if sharer is None:
            return
        try:
            sharer.release(entity_id)
        except Exception as error:
            self._events.log.failure(f"entity {entity_id!r} cannot be released", error)


def _unshared(entity_ids: list[str]) -> str:
    named = first_of(list(map(repr, entity_ids)), _MOST_NAMED)
    return (
        "auto_cache has no effect: the pipe runner cannot cache entities, so every pipe re-reads "
        f"{named}\n"
        "  Fix: add the methods share and release to the runner, or omit auto_cache."
    )
