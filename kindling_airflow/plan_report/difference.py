"""``diff``: what becomes of a plan when its declarations or its strategy change.

Renames are not guessed: a pipe under a new id is one pipe less and one pipe more, and so it is to
Airflow, which keeps a task's history by its id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from typing import Any, Literal

from kindling_airflow.common.immutable import EMPTY, same_json, thaw
from kindling_airflow.common.wording import counted
from kindling_airflow.execution_plan import ExecutionPlan
from kindling_airflow.execution_plan.critical_path import is_forward
from kindling_airflow.execution_plan.document import plan_content
from kindling_airflow.pipe_graph import PipeEdge
from kindling_airflow.plan_report.durations import Times, seconds_text

__all__ = ["Change", "Changes", "Figures", "Move", "PlanDiff", "diff"]

_MOST_LISTED = 50
_LONGEST_OBJECT = 60


@dataclass(frozen=True, slots=True)
class Change:
    """A value that was added, removed or changed.

    Attributes:
        what: the name of the value; ``tags.layer`` for a tag, ``expectations.unique(id)`` for an
            expectation.
        kind: what happened to it.
        old: the value before; None where it was added.
        new: the value after; None where it was removed.
    """

    what: str
    kind: Literal["added", "removed", "changed"]
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in the declaration of a pipe or an entity."""

    of: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A pipe that is in another generation than before."""

    pipe_id: str
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Figures:
    """A plan in figures.

    Attributes:
        strategy: its name.
        total_pipes, total_generations, max_parallelism: those of the plan.
        critical_path: the longest way through it; empty where pipes do not run to their end.
        critical_path_seconds: its length.
    """

    strategy: str
    total_pipes: int
    total_generations: int
    max_parallelism: int
    critical_path: tuple[str, ...]
    critical_path_seconds: float


@dataclass(frozen=True, slots=True)
class PlanDiff:
    """What differs between two plans; each list in the order of the plan that has what it lists.

    Attributes:
        old_digest, new_digest: the plans.
        before, after: their figures.
        pipes_added, pipes_removed: pipes that only one of the plans has.
        pipes_changed: pipes whose declaration changed; functions are not compared.
        edges_added, edges_removed: data edges that only one of them has.
        moves: pipes of both plans that changed their generation.
        entities_changed: entities whose tags changed.
        metadata_changed: entries of the strategy's metadata that differ.
    """

    old_digest: str
    new_digest: str
    before: Figures
    after: Figures
    pipes_added: tuple[str, ...]
    pipes_removed: tuple[str, ...]
    pipes_changed: tuple[Changes, ...]
    edges_added: tuple[PipeEdge, ...]
    edges_removed: tuple[PipeEdge, ...]
    moves: tuple[Move, ...]
    entities_changed: tuple[Changes, ...]
    metadata_changed: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the plans are equal."""
        return self.old_digest == self.new_digest

    @property
    def only_order(self) -> bool:
        """Whether the plans differ only in the order of their pipes, which is not listed."""
        lists = (getattr(self, f.name) for f in fields(self) if f.type.startswith("tuple"))
        same = not any(lists) and self.before.strategy == self.after.strategy
        return same and not self.is_empty

    def to_json(self) -> dict[str, Any]:
        """Return the difference as a JSON document."""
        document: dict[str, Any] = thaw(asdict(self))
        edges = {
            key: [edge._asdict() for edge in getattr(self, key)]
            for key in ("edges_added", "edges_removed")
        }
        return {"is_empty": self.is_empty, "only_order": self.only_order, **document, **edges}

    def text(self) -> str:
        """Return the difference as human-readable text."""
        return "\n".join(_lines(self))


def diff(
    old: ExecutionPlan, new: ExecutionPlan, durations: Mapping[str, float] | None = None
) -> PlanDiff:
    """Compare two plans.

    Args:
        old: the plan before.
        new: the plan after.
        durations: seconds by pipe id, for the critical paths; see
            :func:`~kindling_airflow.plan_report.durations_of`.

    Raises:
        ForecastError: a duration is not a positive number.
    """
    edges_before, edges_after = dict.fromkeys(old.graph.edges), dict.fromkeys(new.graph.edges)
    pipes_before, pipes_after = _declarations(old), _declarations(new)
    in_both = [pipe_id for pipe_id in pipes_after if pipe_id in pipes_before]
    tagged = dict.fromkeys((*new.graph.entity_tags, *old.graph.entity_tags))
    return PlanDiff(
        old_digest=old.digest,
        new_digest=new.digest,
        before=_figures(old, durations),
        after=_figures(new, durations),
        pipes_added=_without(new.pipe_ids, old.pipe_ids),
        pipes_removed=_without(old.pipe_ids, new.pipe_ids),
        pipes_changed=_all_changes(in_both, pipes_before, pipes_after),
        edges_added=tuple(edge for edge in edges_after if edge not in edges_before),
        edges_removed=tuple(edge for edge in edges_before if edge not in edges_after),
        moves=tuple(_moves(old, new)),
        entities_changed=_all_changes(tagged, _entities(old), _entities(new)),
        metadata_changed=tuple(_changes(old.metadata, new.metadata)),
    )


def _figures(plan: ExecutionPlan, durations: Mapping[str, float] | None) -> Figures:
    path: tuple[str, ...] = ()
    seconds = 0.0
    if is_forward(plan):
        times = Times.of(plan, durations)
        path, seconds = times.critical_path(), times.whole_seconds()
    return Figures(
        plan.strategy,
        plan.total_pipes(),
        plan.total_generations(),
        plan.max_parallelism(),
        path,
        seconds,
    )


def _without(pipe_ids: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    known = set(others)
    return tuple(pipe_id for pipe_id in pipe_ids if pipe_id not in known)


def _moves(old: ExecutionPlan, new: ExecutionPlan) -> Iterator[Move]:
    for generation in new.generations:
        for pipe_id in generation:
            before = old.find_pipe_generation(pipe_id)
            if before is not None and before != generation.number:
                yield Move(pipe_id, before, generation.number)


def _declarations(plan: ExecutionPlan) -> dict[str, Mapping[str, Any]]:
    return {pipe["pipeid"]: _with_promises(plan, pipe) for pipe in plan_content(plan)["pipes"]}


def _with_promises(plan: ExecutionPlan, pipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a declaration whose expectations are compared one by one, as people read them."""
    declared = plan.graph.nodes[pipe["pipeid"]].metadata
    if declared is None or not declared.expectations:
        return pipe
    rest = {key: value for key, value in pipe.items() if key != "expectations"}
    return {**rest, **{f"expectations.{e.name}": e.promise() for e in declared.expectations}}


def _entities(plan: ExecutionPlan) -> dict[str, Mapping[str, Any]]:
    return {entity: {"tags": tags} for entity, tags in plan.graph.entity_tags.items()}


def _all_changes(
    ids: Iterable[str],
    old: Mapping[str, Mapping[str, Any]],
    new: Mapping[str, Mapping[str, Any]],
) -> tuple[Changes, ...]:
    found = ((one, _with_tags(old.get(one, EMPTY), new.get(one, EMPTY))) for one in ids)
    return tuple(Changes(one, changes) for one, changes in found if changes)


def _with_tags(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return what differs between two declarations; tags are compared one by one."""
    tags = _changes(old.get("tags", EMPTY), new.get("tags", EMPTY), "tags.")
    return (*(c for c in _changes(old, new) if c.what != "tags"), *tags)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        what = f"{prefix}{key}"
        if key not in old:
            yield Change(what, "added", None, new[key])
        elif key not in new:
            yield Change(what, "removed", old[key], None)
        elif not same_json(old[key], new[key]):
            yield Change(what, "changed", old[key], new[key])


def _lines(found: PlanDiff) -> Iterator[str]:
    """Yield lines of text: ``+`` added, ``-`` removed, ``~`` changed; long lists are cut."""
    if found.is_empty:
        yield f"No difference: {_figures_text(found.before, found.before)}"
        return
    yield _figures_text(found.before, found.after)
    sections = {
        "Pipes": [
            *(f"+ {pipe_id!r}" for pipe_id in found.pipes_added),
            *(f"- {pipe_id!r}" for pipe_id in found.pipes_removed),
            *chain.from_iterable(map(_changes_lines, found.pipes_changed)),
        ],
        "Edges": [
            *(f"+ {_edge_text(edge)}" for edge in found.edges_added),
            *(f"- {_edge_text(edge)}" for edge in found.edges_removed),
        ],
        "Generations": [f"~ {m.pipe_id!r}: {m.old} -> {m.new}" for m in found.moves],
        "Entities": list(chain.from_iterable(map(_changes_lines, found.entities_changed))),
        "Metadata": [*map(_change_text, found.metadata_changed)],
        "Critical path": _path_lines(found.before.critical_path, found.after.critical_path),
    }
    for headline, lines in sections.items():
        if lines:
            yield from ("", headline)
            yield from _cut(lines)
    if found.only_order:
        yield from ("", "The same pipes, edges and generations, in another order")


def _figures_text(before: Figures, after: Figures) -> str:
    parts = [
        _arrow(before.strategy, after.strategy),
        _arrow(f"{before.total_pipes:,}", counted(after.total_pipes, "pipe")),
        _arrow(f"{before.total_generations:,}", counted(after.total_generations, "generation")),
        "at most " + _arrow(f"{before.max_parallelism:,}", f"{after.max_parallelism:,} at once"),
    ]
    if before.critical_path and after.critical_path:
        lengths = (seconds_text(f.critical_path_seconds) for f in (before, after))
        parts.append(f"critical path {_arrow(*lengths)}")
    return ", ".join(parts)


def _arrow(old: str, new: str) -> str:
    """Return ``old -> new``, or ``new`` alone where it starts with the same words."""
    return new if new == old or new.startswith(f"{old} ") else f"{old} -> {new}"


def _edge_text(edge: PipeEdge) -> str:
    return f"{edge.from_pipe!r} -> {edge.to_pipe!r}, by {edge.entity!r}"


def _changes_lines(found: Changes) -> Iterator[str]:
    yield f"~ {found.of!r}"
    for change in found.changes:
        yield f"    {_change_text(change)}"


def _change_text(change: Change) -> str:
    old, new = thaw(change.old), thaw(change.new)
    if change.kind == "added":
        return f"+ {change.what}: {_shown(new)}"
    if change.kind == "removed":
        return f"- {change.what}: {_shown(old)}"
    if isinstance(old, list) and isinstance(new, list):
        come = [f"+ {_shown(item)}" for item in new if item not in old]
        gone = [f"- {_shown(item)}" for item in old if item not in new]
        if come or gone:
            return f"~ {change.what}: {', '.join([*come, *gone])}"
    return f"~ {change.what}: {_shown(old)} -> {_shown(new)}"


def _shown(value: object) -> str:
    """Return a value as text; objects are cut, names and numbers are not."""
    text = repr(value)
    is_object = isinstance(value, (dict, list)) and "{" in text[:2]
    return f"{text[:_LONGEST_OBJECT]}..." if is_object and len(text) > _LONGEST_OBJECT else text


def _path_lines(before: Sequence[str], after: Sequence[str]) -> list[str]:
    if before == after:
        return []
    return [f"{sign} {' -> '.join(map(repr, p))}" for sign, p in (("-", before), ("+", after)) if p]


def _cut(lines: Sequence[str]) -> Iterator[str]:
    for line in lines[:_MOST_LISTED]:
        yield f"  {line}"
    if len(lines) > _MOST_LISTED:
        yield f"  ... and {counted(len(lines) - _MOST_LISTED, 'line')} more"
